"""``vscugan encode``: events as JSON, scripts, and bits that arrive unchanged."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from support import media
from support.slow_encode import SLOW

from vscugan.__main__ import main
from vscugan.cli import encode_command
from vscugan.encode import supervise
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.worker_process import Listener, WorkerProcess


def test_json_events_are_for_programs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    script = tmp_path / "r.vpy"
    script.write_text("print('to stdout')\n" + media.RESIZE.replace("clip.width * 2", "int(zoom) * clip.width"))
    argv = ["--script", str(script), "--arg", "zoom=3", "--encoder", "ffv1", "--json"]
    assert main(["encode", str(source), "-o", str(tmp_path / "b.mkv"), *argv]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [event["event"] for event in events if event["event"] != "index"]
    assert kinds == ["model", "plan", "progress", "chunk", "mux", "check", "done"]
    assert events[-1]["frames"] == 3
    plan = next(event for event in events if event["event"] == "plan")
    assert (plan["width"], plan["height"]) == (192, 96)


def test_a_script_of_your_own_is_handed_source_and_args(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, script = media.plain(tmp_path / "a.mkv", frames=3), tmp_path / "own.vpy"
    script.write_text(
        "import vapoursynth as vs\n"
        "own = vs.core.bs.VideoSource(source, cachemode=0)\n"
        "assert args == {'scale': 2, 'noise': 'denoise1x', 'device': ['cpu', 'cpu'], 'crop': '8'}, args\n"
        "own = own.std.Crop(right=int(crop))\n"
        "del args['noise'], args['crop']\n"
        "vs.core.cugan.Upscale(own, backend='torch', report=1, **args).set_output()\n"
    )
    argv = ["--scale", "2", "--noise", "denoise1x", "--device", "cpu,cpu", "--arg", "crop=8", "--script", str(script)]
    result = tmp_path / "b.mkv"
    assert main(["encode", str(source), "-o", str(result), *argv, "--encoder", "ffv1"]) == 0, capfd.readouterr().err
    certificate = json.loads(Path(f"{result}.cugan.json").read_text(encoding="utf-8"))
    assert certificate["picture"]["width"] == 112
    assert certificate["made_by"]["runtime"] == "torch"
    assert certificate["parameters"]["script_arguments"] == {"crop": "8"}
    assert main(["verify", str(result), "--script", str(script), "--arg", "crop=8"]) == 0


def test_ffv1_holds_what_it_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No sample is changed on the way through y4m, ffmpeg and the container."""
    source, script = media.plain(tmp_path / "a.mkv", frames=30), tmp_path / "r.vpy"
    script.write_text(media.RESIZE)
    result = tmp_path / "b.mkv"
    assert main(["encode", str(source), "-o", str(result), "--script", str(script), "--encoder", "ffv1"]) == 0
    assert main(["verify", str(result), "--script", str(script), "--frames", "30"]) == 0
    assert capsys.readouterr().out.count("same bits; coded at 120.0 dB") == 30


def test_a_log_and_a_program_at_the_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, script, log = media.plain(tmp_path / "a.mkv", frames=3), tmp_path / "r.vpy", tmp_path / "log.txt"
    script.write_text(media.RESIZE)
    done = f'{sys.executable} -P -c "open({str(tmp_path / "code")!r}, mode=str(chr(119))).write(str({{code}}))"'
    argv = ["encode", str(source), "-o", str(tmp_path / "b.mkv"), "--script", str(script), "--encoder", "ffv1"]
    assert main([*argv, "--log", str(log), "--on-done", done, "--crop", "8,0,4,2"]) == 0, capfd.readouterr().err
    assert (tmp_path / "code").read_text() == "0"
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .+", line) for line in lines)
    assert "3 frames to 112x84 YUV420P8" in log.read_text(encoding="utf-8")
    assert main(["verify", str(tmp_path / "b.mkv"), "--script", str(script)]) == 0
    assert main([*argv, "--log", str(log), "--on-done", done]) == 4
    assert (tmp_path / "code").read_text() == "4"
    assert log.read_text(encoding="utf-8").splitlines()[-1].endswith("name another one, or say --overwrite")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--on-done", "no-such-program x"), "on-done must begin with a program on PATH, got 'no-such-program x'; "
         "check its name"),
        (("--on-done", ""), "on-done must begin with a program on PATH, got ''; check its name"),
        (("--on-done", "'x"), "on-done must be a program and its arguments, got No closing quotation; quote them"),
        (("--crop", "1,2"), "crop must be four numbers of px from 0 on, got 1,2; name left,right,top,bottom"),
        (("--crop", "all"), "crop must be whole numbers with commas between them, got all; run vscugan encode --help "
         "to see all options"),
        (("--crop", "1,0,0,0"), "crop must leave a picture in whole px of all planes, got 1,0,0,0 of 64x48: cropped "
         "area needs to have mod 2 width offset; name left,right,top,bottom"),
    ],
)  # fmt: skip
def test_arguments_that_would_spoil_the_night(
    tmp_path: Path, argv: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    assert main(["encode", str(source), "-o", str(tmp_path / "b.mkv"), *argv]) == 2
    assert capfd.readouterr().err == f"vscugan encode: {message}\n"


def test_an_unexpected_error_is_logged_and_followed_by_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise PermissionError("no")

    monkeypatch.setattr(encode_command, "_encode_one", fail)
    log = tmp_path / "log.txt"
    argv = ["encode", "a.mkv", "-o", "b.mkv", "--log", str(log), "--on-done", f"{sys.executable} -c print({{code}})"]
    assert main(argv) == 7
    assert capfd.readouterr().out == "7\n"
    assert log.read_text().endswith("note: PermissionError: no\n")
    failing = f"{sys.executable} -c exit(3)"
    assert main([*argv, "--on-done", failing]) == 7
    message = f"on-done must end with 0, got 3 from {sys.executable}; check what it does\n"
    assert capfd.readouterr().err.endswith(message)
    assert main([*argv, "--log", str(tmp_path / "no" / "log.txt")]) == 7
    assert capfd.readouterr().err.endswith(
        "log must be writable, got No such file or directory: 'log.txt'; name a file in a folder that you may write "
        "to\n"
    )


def test_ctrl_c_after_the_end_says_that_the_output_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def encode(job: EncodeJob, listen: Listener, worker: WorkerProcess, *, restart: bool) -> int:
        listen({"event": "done"})
        raise KeyboardInterrupt

    monkeypatch.setattr(supervise, "encode", encode)
    assert main(["encode", "in.mkv", "-o", str(tmp_path / "out.mkv"), "--json"]) == 130
    assert capsys.readouterr().err == "vscugan encode: interrupted; the output is finished\n"


def test_a_dry_run_estimates_and_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, script = media.plain(tmp_path / "a.mkv", frames=24 * 4), tmp_path / "slow.vpy"
    script.write_text(SLOW)
    argv = ["encode", str(source), "-o", str(tmp_path / "b.mkv"), "--script", str(script), "--chunk", "1"]
    argv += ["--encoder", "x264", "--json"]
    assert main([*argv, "--dry-run"]) == 0, capfd.readouterr().err
    events = {event["event"]: event for event in map(json.loads, capfd.readouterr().out.splitlines())}
    assert {p.name for p in tmp_path.iterdir()} == {"a.mkv", "slow.vpy"}
    estimate = events["estimate"]
    assert events["kept"]["tracks"] == []
    assert estimate["seconds_low"] <= estimate["seconds"] <= estimate["seconds_high"]
    assert main([*argv, "--keep-work"]) == 0
    events = {event["event"]: event for event in map(json.loads, capfd.readouterr().out.splitlines())}
    work = sorted((tmp_path / "b.mkv.vscugan").rglob("*.mkv"))
    assert estimate["bytes"] == pytest.approx(sum(path.stat().st_size for path in work), rel=0.3)
    (tmp_path / "b.mkv").unlink()
    assert main([*argv, "--dry-run"]) == 0
    assert sorted((tmp_path / "b.mkv.vscugan").rglob("*.mkv")) == work  # what is finished stays
    assert main([*argv, "--dry-run", "--restart"]) == 2
