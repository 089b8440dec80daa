"""A work folder may have come from anywhere: nothing in it is run, and nothing outside it is written or removed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from vscugan.__main__ import main
from vscugan.encode.chunks import encoding, trial
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.journal import Journal
from vscugan.encode.job.resume import are_values
from vscugan.encode.job.work_folder import check_folder, open_file
from vscugan.errors import PlanError
from vscugan.files import write_whole

AWAY = "; move it away, or name another output"
THROW = "; say --restart to throw the work folder away"
BEGIN: dict[str, Any] = {"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {}}}
WHOLE: dict[str, Any] = {"kind": "whole", "certificate": {"result": {"sha256": "00", "bytes": 9, "frames": 2}}}
CHUNK: dict[str, Any] = {
    "kind": "chunk", "chunk": 0, "start": 0, "stop": 2, "file": "000000.mkv", "bytes": 9, "sha256": "00",
    "codec": "h264", "header_sha256": "00", "order": [0, 1], "frames": ["00", "00"], "sketches": ["00", "00"],
    "hardware": {"cpu": "one"}, "seconds": 1.5,
}  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder, beside things of the user's that are not its own."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("mine")
    folder = tmp_path / "o.mkv.vscugan"
    folder.mkdir()
    return folder


def refusal(work: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What ``encode`` says when it ends before the start; the user's things are untouched."""
    assert main(["encode", str(work.parent / "a.mkv"), "-o", str(work.with_suffix("")), *words]) == 4
    assert (work.parent / "mine" / "diary.txt").read_text() == "mine"
    return capsys.readouterr().err.removeprefix("vscugan encode: ").rstrip("\n")


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
@pytest.mark.parametrize("words", [(), ("--restart",), ("--resume",)])
def test_a_folder_with_other_things_is_left_alone(
    work: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path, Path], object],
    fact: str,
    words: tuple[str, ...],
) -> None:
    make(work, work.parent / "mine" / "diary.txt")
    what = "it" if fact.startswith("be ") else "that folder" if fact.endswith("a folder") else "that file"
    assert refusal(work, capsys, *words) == f"work folder must {fact}{AWAY.replace('it', what)}"


@pytest.mark.parametrize("name", [".DS_Store", "._lock", "Thumbs.db", "desktop.ini", ".fuse_hidden0001", ".nfs0001"])
def test_files_of_the_system_are_passed_over(work: Path, name: str) -> None:
    (work / "temp").mkdir()
    (work / name).write_bytes(b"")
    (work / "temp" / name).write_bytes(b"")
    check_folder(work)
    (work / "chunks").mkdir()
    (work / "chunks" / name).mkdir()
    with pytest.raises(PlanError) as error:
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
    with pytest.raises(PlanError) as error:
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


@pytest.mark.parametrize(
    ("values", "words", "add"),
    [
        ({"encoder": "sh", "encoder_arguments": ["-c", "echo >{output}"]}, (), "--encoder sh -- -c 'echo >{output}'"),
        ({"encoder": "sh", "encoder_arguments": ["{output}"]}, ("--encoder", "sh"), "-- '{output}'"),
        ({"script": "/x/a b.vpy", "script_arguments": {"n": "1"}}, (), "--script '/x/a b.vpy' --arg n=1"),
        ({"script": "/x.vpy", "script_arguments": {"n": "1"}}, ("--script", "/x.vpy"), "--arg n=1"),
        ({"encoder": "ffv1", "encoder_arguments": ["-f", "mpegts", "/home/x"]}, (), "-- -f mpegts /home/x"),
        ({"encoder_arguments": ["--csv=\x1b[2J"]}, (), r"-- '--csv=\x1b[2J'"),
    ],
)  # fmt: skip
def test_what_is_run_is_not_taken_from_the_folder(
    work: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], words: tuple[str, ...], add: str
) -> None:
    plan = EncodeJob(source="a", output="b", **values)
    (work / "plan.json").write_text(json.dumps(plan.to_json()))
    assert refusal(work, capsys, "--resume", *words) == (
        "what is run must be named again with --resume, got it from o.mkv.vscugan/plan.json alone; where it is yours, "
        f"add: {add}"
    )


def test_values_of_encoder_arguments_are_taken_from_the_folder() -> None:
    for text in ("--crf 16 --preset slow --no-sao --deblock -1:-1 --aq-mode=3", "-level 3 -g 1", "--tune animation"):
        assert are_values(text.split()), text
    for text in ("--csv log", "--stats=a", "--crf 16 file", "--preset slow file", "--preset a/b", "x=1", "-f mpegts"):
        assert not are_values(text.split()), text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"encoder": 3}, "parameters must be those of encode, got encoder of another type; give them on the command "
                         "line"),
        ({"options": {"scale": "2"}}, "options must be those of Upscale, got scale of another type; see the README's "
                                      "table"),
        ({"options": {"alpha_clip": 1}}, "options must be those of Upscale, got alpha_clip; see the README's table"),
        ({"options": {"report": 0}}, "options must be those of Upscale, got report; see the README's table"),
        ({"options": {"noise": "loud"}}, "noise must be no-denoise, conservative, denoise1x, denoise2x, denoise3x or "
                                         "-1 to 3, got loud; -1 is no-denoise and 0 is conservative, as in vs-mlrt"),
        ({"options": {"segment": 24.5}}, "options must be those of Upscale, got segment of another type; see the "
                                         "README's table"),
        ({"chunk_s": float("nan")}, "chunk must be above 0 and at most 3600 s, got nan; leave it out for 10"),
        ({"chunk_s": 10**400}, "parameters must be those of encode, got chunk_s of another type; give them on the "
                               "command line"),
        ({"options": {"scale": 10**400}}, "options must be those of Upscale, got scale of another type; see the "
                                          "README's table"),
        ({"script_arguments": {"a b": "c"}}, "arg must be NAME=VALUE, got 'a b'; write it as for vspipe -a"),
        ([], "parameters must be those of encode, got no source; give them on the command line"),
    ],
)  # fmt: skip
def test_a_plan_is_checked_like_the_command_line(
    work: Path, capsys: pytest.CaptureFixture[str], content: Any, fault: str
) -> None:
    content = content and {"source": "a", "output": "b", **content}
    (work / "plan.json").write_text(json.dumps(content))
    assert refusal(work, capsys, "--resume") == f"o.mkv.vscugan/plan.json must be a plan, got {fault}{THROW}"


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        (["hello"], "a line that is no JSON"),
        (["[" * 100_000], "a line that is no JSON"),
        (["[]"], "an entry of no known kind"),
        ([{"kind": "shell"}], "an entry of no known kind"),
        ([CHUNK], "an entry 'chunk' at its beginning"),
        ([BEGIN, BEGIN], "a second beginning"),
        ([{"kind": "begin", "plan": {}}], "an entry 'begin' with no facts"),
        ([BEGIN | {"facts": {"source": 1}}], "an entry 'begin' with facts: source of another type"),
        ([BEGIN, WHOLE | {"certificate": {"result": 1}}], "an entry 'whole' with certificate: result of another type"),
        ([BEGIN, WHOLE | {"certificate": {"result": {}}}], "an entry 'whole' with certificate: result: no sha256"),
        ([BEGIN, CHUNK | {"bytes": "9"}], "an entry 'chunk' with bytes of another type"),
        ([BEGIN, CHUNK | {"order": [0, None]}], "an entry 'chunk' with order of another type"),
        ([BEGIN, CHUNK | {"tile": 64}], "an entry 'chunk' with tile of another type"),
        ([BEGIN, CHUNK | {"file": "../../x"}], "a chunk in the file '../../x'"),
        ([BEGIN, CHUNK | {"file": "/etc/passwd"}], "a chunk in the file '/etc/passwd'"),
        ([BEGIN, CHUNK | {"order": [0, 0]}], "a chunk of 2 frames in place of 0 to 2"),
        ([BEGIN, CHUNK | {"stop": 3, "order": [0, 1, 2]}], "a chunk of 2 frames in place of 0 to 3"),
    ],
)
def test_a_journal_is_checked(work: Path, entries: list[Any], fault: str) -> None:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    path = work / "journal.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(PlanError) as error:
        Journal(path)
    assert str(error.value) == f"o.mkv.vscugan/journal.jsonl must be a journal, got {fault}{THROW}"


def test_a_journal_that_is_its_own_is_read(work: Path) -> None:
    (work / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in (BEGIN, CHUNK, WHOLE)))
    journal = Journal(work / "journal.jsonl")
    assert journal.entries == [BEGIN, CHUNK, WHOLE]
    journal.close()
