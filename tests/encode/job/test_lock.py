"""One run a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vscugan.encode.job import lock as lock_module
from vscugan.encode.job.lock import LOCKED_BYTE, empty_folder, release, take_lock
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


@pytest.mark.parametrize("platform", ["linux", "win32"])
@pytest.mark.parametrize("remove", [False, True])
def test_a_folder_goes_with_its_lock_or_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, remove: bool
) -> None:
    folder = tmp_path / "a.vscugan"
    lock = take_lock(folder)
    (folder / "chunks").mkdir()
    (folder / "chunks" / "000000.mkv").write_bytes(b"1")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        release(folder, lock, remove=remove)
    assert folder.exists() != remove
    os.close(take_lock(folder))


def test_all_but_the_lock_is_removed(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "a.vscugan")
    (tmp_path / "a.vscugan" / "temp").mkdir()
    (tmp_path / "a.vscugan" / "plan.json").write_text("{}")
    empty_folder(tmp_path / "a.vscugan")
    assert [path.name for path in (tmp_path / "a.vscugan").iterdir()] == ["lock"]
    os.close(lock)


def test_what_goes_by_itself_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``._x`` does on macOS with ``x``, on disks that have no place for what it holds."""
    folder = tmp_path / "a.vscugan"
    lock = take_lock(folder)
    for name in ("plan.json", "temp/000000.mkv"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        path.with_name(f"._{path.name}").write_bytes(b"")
    remove = os.unlink

    def with_its_double(path: str | Path, *, dir_fd: int | None = None) -> None:
        remove(path, dir_fd=dir_fd)
        if not Path(path).name.startswith("._"):
            remove(Path(path).with_name(f"._{Path(path).name}"), dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", with_its_double)
    empty_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["lock"]
    os.close(lock)


def test_windows_locks_no_byte_that_the_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, what is locked can't be read through another descriptor."""
    places: list[int] = []

    def locking(descriptor: int, mode: int, count: int) -> None:
        places.append(os.lseek(descriptor, 0, os.SEEK_CUR))
        if len(places) > 1:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    lock = take_lock(tmp_path / "a.vscugan")
    with pytest.raises(LockedError, match=f"process {os.getpid()} works in"):
        take_lock(tmp_path / "a.vscugan")
    assert places == [LOCKED_BYTE, LOCKED_BYTE]
    assert (tmp_path / "a.vscugan" / "lock").read_bytes() == f"{os.getpid()}\n".encode()
    os.close(lock)


def test_a_path_that_windows_does_not_take_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a path that is too long it says that there is no such file."""

    def open_file(path: Path, flags: int) -> int:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(lock_module, "open_file", open_file)
    with pytest.raises(FileNotFoundError):
        take_lock(tmp_path / "a.vscugan")
