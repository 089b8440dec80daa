"""vspipe of the environment that the tests run in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def environment() -> dict[str, str]:
    return os.environ | {"VIRTUAL_ENV": str(BIN.parent), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def vspipe(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [BIN / "vspipe", *arguments], capture_output=True, env=environment(), timeout=timeout, check=False
    )
