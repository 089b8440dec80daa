"""One run a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vscugan.encode.job.lock import take_lock
from vscugan.errors import LockedError


def test_the_lock_goes_with_its_last_holder(tmp_path: Path) -> None:
    folder = tmp_path / "a.vscugan"
    lock = take_lock(folder)
    with pytest.raises(LockedError) as error:
        take_lock(folder)
    assert str(error.value) == (
        f"work folder a.vscugan must be free, got one that process {os.getpid()} works in; "
        "wait for it, or end it and run this again"
    )
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    os.close(lock)
    with pytest.raises(LockedError):
        take_lock(folder)
    child.kill()
    child.wait()
    os.close(take_lock(folder))
