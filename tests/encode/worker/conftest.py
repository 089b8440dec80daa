"""A folder with a slow script."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.slow_encode import SLOW


@pytest.fixture(autouse=True)
def _ctrl_c_works() -> None:
    """A shell's background job ignores Ctrl-C, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def slow_folder(tmp_path: Path) -> Path:
    """A folder with a script that takes its time."""
    (tmp_path / "slow.vpy").write_text(SLOW)
    return tmp_path
