"""A work folder may have come from anywhere: nothing outside it is written or removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from support.encode_runs import refusal

from vscugan.encode.chunks import encoding, trial
from vscugan.encode.job.work_folder import check_folder, open_file
from vscugan.errors import ConflictError
from vscugan.files import write_whole

AWAY = "; move it away, or name another output"


def _folder_link(work: Path, diary: Path) -> None:
    work.rmdir()
    work.symlink_to(diary.parent)


def _folder_file(work: Path, diary: Path) -> None:
    work.rmdir()
    work.write_bytes(b"")


def _foreign_part(work: Path, diary: Path) -> None:
    (work / "temp").mkdir()
    (work / "temp" / "diary.txt").write_text("mine too")


def _part_link(work: Path, diary: Path) -> None:
    (work / "chunks").mkdir()
    (work / "chunks" / "000001.mkv").symlink_to(diary)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (_folder_link, "be a folder, got 'o.mkv.vscugan', which is a link"),
        (_folder_file, "be a folder, got 'o.mkv.vscugan', which is a file"),
        (lambda w, d: (w / "diary.txt").write_text("mine"), "hold nothing else, got 'diary.txt' in 'o.mkv.vscugan'"),
        (_foreign_part, "hold nothing else, got 'temp/diary.txt' in 'o.mkv.vscugan'"),
        (_part_link, "hold files and no links, got 'chunks/000001.mkv' in 'o.mkv.vscugan', which is a link"),
        *(
            (
                lambda w, d, name=name: (w / name).symlink_to(d.parent if name in ("temp", "chunks") else d),
                f"hold files and no links, got {name!r} in 'o.mkv.vscugan', which is a link",
            )
            for name in ("lock", "worker.log", "journal.jsonl", "plan.json", "result.mkv", ".plan.json.1-1.tmp", "temp",
                         "chunks")
        ),
        (
            lambda w, d: os.link(d, w / "lock"),
            "hold files and no links, got 'lock' in 'o.mkv.vscugan', which has a second name elsewhere",
        ),
        (
            lambda w, d: (w / "lock").mkdir(),
            "hold files and no links, got 'lock' in 'o.mkv.vscugan', which is a folder",
        ),
        (
            lambda w, d: os.mkfifo(w / "plan.json"),
            "hold files and no links, got 'plan.json' in 'o.mkv.vscugan', which is neither file nor folder",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("argv", [(), ("--restart",), ("--resume",)])
def test_a_folder_with_other_things_is_left_alone(
    work: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path, Path], object],
    fact: str,
    argv: tuple[str, ...],
) -> None:
    make(work, work.parent / "mine" / "diary.txt")
    what = "it" if fact.startswith("be ") else "that folder" if fact.endswith("a folder") else "that file"
    assert refusal(work, capsys, *argv) == f"work folder must {fact}{AWAY.replace('it', what)}"


@pytest.mark.parametrize("name", [".DS_Store", "._lock", "Thumbs.db", "desktop.ini", ".fuse_hidden0001", ".nfs0001"])
def test_files_of_the_system_are_passed_over(work: Path, name: str) -> None:
    (work / "temp").mkdir()
    (work / name).write_bytes(b"")
    (work / "temp" / name).write_bytes(b"")
    check_folder(work)
    (work / "chunks").mkdir()
    (work / "chunks" / name).mkdir()
    with pytest.raises(ConflictError) as error:
        check_folder(work)
    assert str(error.value) == (
        f"work folder must hold nothing else, got 'chunks/{name}' in 'o.mkv.vscugan'; move that folder away, or name "
        "another output"
    )


def test_logs_are_not_written_into_a_file_with_a_second_name(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = work.parent / "mine" / "diary.txt"
    for log in (work / "trial.log", work / "000001.log"):
        os.link(diary, log)
    monkeypatch.setattr(trial, "_grey", lambda stream_format: b"")
    monkeypatch.setattr(trial.y4m, "header", lambda stream_format: b"")
    trial._run(["true"], Mock(), work / "trial.log", lambda process: None)
    context = Mock(temp_folder=work, chunk_name=lambda chunk: "000001.mkv")
    monkeypatch.setattr(encoding, "command", lambda *_: ["true"])
    with encoding.start_encoding(context, Mock()).process as process:
        process.wait()
    assert diary.read_text() == "mine"


def test_a_folder_of_somebody_else_is_refused(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    check_folder(work)  # as on a share whose files all have one owner: a new one has it too
    monkeypatch.setattr(os, "fstat", lambda descriptor: os.stat_result((0, 0, 0, 0, me + 1, 0, 0, 0, 0, 0)))
    with pytest.raises(ConflictError) as error:
        check_folder(work)
    assert str(error.value) == f"work folder must be your own, got 'o.mkv.vscugan' of user {me}{AWAY}"


def test_files_are_not_opened_through_links(work: Path) -> None:
    diary = work.parent / "mine" / "diary.txt"
    (work / "worker.log").symlink_to(diary)
    with pytest.raises(OSError, match="symbolic link"):
        open_file(work / "worker.log", os.O_WRONLY | os.O_TRUNC)
    assert diary.read_text() == "mine"


def test_unfinished_files_are_not_written_through_links(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diary = work.parent / "mine" / "diary.txt"
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr("vscugan.files.threading.get_ident", lambda: 1)
    (work / ".plan.json.1-1.tmp").symlink_to(diary)
    write_whole(work / "plan.json", b"{}")
    assert (diary.read_text(), (work / "plan.json").read_bytes()) == ("mine", b"{}")
