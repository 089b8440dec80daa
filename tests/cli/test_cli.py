"""Habits of the command line, the smaller commands, and real upscaling through encode."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import vapoursynth as vs
from PIL import Image
from support import media

from vscugan import __version__
from vscugan.__main__ import COMMANDS, main
from vscugan.cli import guard
from vscugan.cli.guard import Ended
from vscugan.cli.options import format_name
from vscugan.errors import FrameError
from vscugan.image import shots
from vscugan.image.results import NAME
from vscugan.image.shots import different_frames
from vscugan.models.registry import rows

FAST = ("--device", "cpu", "--backend", "torch")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSCUGAN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: vscugan {command}")


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    help = capsys.readouterr().out
    assert all(f"\n    {command}" in help for command in COMMANDS)
    for words, start in ((["help"], help), (["help", "cache"], "usage: vscugan cache"), (["-h"], help),
                         (["--version"], f"vscugan {__version__}\n")):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(start)


ENCODE = ("encode", "a.mkv", "-o", "b.mkv")
BEHIND = "options of the encoder stand behind --, as in -- "
COMMAND = "command must be encode, image, preview, verify, models, doctor, cache or benchmark, got "


def see(command: str) -> str:
    return f"run vscugan {command} --help to see all options"


def unknown(command: str, option: str, hint: str) -> str:
    return f"option must be known to vscugan {command}, got {option}; {hint}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("encoed", f"{COMMAND}encoed; did you mean encode?"),
        ("upscale", f"{COMMAND}upscale; run vscugan help to see what each does"),
        ("encode --crf 16", unknown("encode", "--crf", f"{BEHIND}--crf 16")),
        ((*ENCODE, "--crf=16"), unknown("encode", "--crf", f"{BEHIND}--crf=16")),
        ((*ENCODE, "--tune", "--crf"), unknown("encode", "--tune", f"{BEHIND}--tune")),
        ((*ENCODE, "--niose", "3"), unknown("encode", "--niose", f"did you mean --noise? {BEHIND}--niose 3")),
        ((*ENCODE, "-preset", "slow"), unknown("encode", "-preset", f"{BEHIND}-preset slow")),
        ((*ENCODE, "--over"), "option must be written in full, got --over; write --overwrite or --overshoot"),
        ((*ENCODE, "--scale", "big"), f"scale must be a number, got big; {see('encode')}"),
        ((*ENCODE, "--leave-out=1"), f"--leave-out: ignored explicit argument '1'; {see('encode')}"),
        ((*ENCODE, "--chunk", "x", "--", "--crf"), f"chunk must be a number, got x; {see('encode')}"),
        ((*ENCODE, "c.mkv"), f"arguments must be options and their values, got c.mkv; {see('encode')}"),
        ("encode a.mkv", f"-o/--output must be given, got none; {see('encode')}"),
        ("encode a.mkv -o", f"-o/--output must have one argument, got none; {see('encode')}"),
        ("image a.png -o b --tile 64,x", f"tile must be one or two whole numbers, got 64,x; {see('image')}"),
        ("image a.png -o b --to gif", f"to must be avif, jpeg, jpg, png, tif, tiff or webp, got gif; {see('image')}"),
        ("cache emtpy", f"action must be show or clear, got emtpy; {see('cache')}"),
        ("models --jsno", unknown("models", "--jsno", "did you mean --json?")),
        ("benchmark --frames -1", "frames must be at least 1, got -1; leave it out for the default"),
    ],
)
def test_a_wrong_word_is_one_line(
    words: str | tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words.split() if isinstance(words, str) else words
    assert main(words) == 2
    command = f" {words[0]}" if words[0] in COMMANDS else ""
    assert capsys.readouterr() == ("", f"vscugan{command}: {message}\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (Ended("SIGTERM"), 143, "ended by SIGTERM"),
        (Ended("SIGHUP"), 129, "ended by SIGHUP"),
        (vs.Error("cugan.Upscale: internal error, please report it\nTraceback"), 1, "internal error, please report it"),
        (OSError("no such disk"), 7, "files must be usable, got no such disk; mend it, then run this again"),
        (ModuleNotFoundError("No module named 'av'", name="av"), 2, "av must be installed, got none; run pip install "
         "vapoursynth-bestsource imageio-ffmpeg av rich pillow tifffile imagecodecs"),
        (ZeroDivisionError("by 0"), 70, "internal error, please report it: ZeroDivisionError: by 0"),
    ],
)  # fmt: skip
def test_every_end_is_one_line_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object) -> int:
        raise error

    for command in COMMANDS:
        monkeypatch.setattr(importlib.import_module(f"vscugan.cli.{command}"), "run", raises)
        assert main([command]) == code
        out, err = capsys.readouterr()
        assert err.splitlines()[-1] == f"vscugan {command}: {text}"
        assert out == ""
        assert ("Traceback" in err) == (code == 70)  # which is to be reported
    event = {"event": "interrupted"} if code > 128 else {"event": "error", "message": text}
    assert main(["encode", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == event | {"code": code}


def test_signals_come_through_what_swallows_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that is being made turns every exception into an error of its own."""
    signals = guard._Signals()
    monkeypatch.setattr(guard, "_signals", signals)

    def swallows(*_: object) -> int:
        try:
            signals.receive(signal.SIGTERM, None)
        except Ended as error:
            signals.receive(signal.SIGTERM, None)  # timeout sends it to the process and to its group
            raise vs.Error("") from error
        return 0

    monkeypatch.setattr(importlib.import_module("vscugan.cli.image"), "run", swallows)
    assert main(["image"]) == 143
    signals.receive(signal.SIGHUP, None)  # nothing stops the tidying up
    assert capsys.readouterr() == ("", "vscugan image: ended by SIGTERM\n")


def test_programs_are_told_of_a_wrong_word(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--chunk", "x"], "chunk must be a number, got x; run vscugan encode --help to see all options"),
        (["--chunk", "0"], "chunk must be above 0 and at most 3600 s, got 0; leave it out for 10"),
    ):
        assert main([*ENCODE, "--json", *words, "--", "--json"]) == 2
        out, err = capsys.readouterr()
        assert json.loads(out) == {"event": "error", "message": message, "code": 2}
        assert err == f"vscugan encode: {message}\n"


def test_lines_that_nobody_takes_end_nothing() -> None:
    """The reader of a pipe is gone, or the disk of a log is full."""
    reader, writer = os.pipe()
    os.close(reader)
    for target in (writer, "/dev/full"):
        with open(target, "w", encoding="ascii") as stream:
            for _ in range(2):
                print("x" * 100_000, file=guard.Output(stream), flush=True)


SLOW = """import time
import vapoursynth as vs
def wait(n, f):
    time.sleep(0.1)
    return f
clip.std.ModifyFrame(clip, wait).set_output()
"""


def test_sigterm_ends_an_encode_in_order_and_a_closed_stdout_ends_nothing(tmp_path: Path) -> None:
    """Nobody reads the lines, as after ``>&-``; the work is done all the same, until the signal."""
    media.plain(tmp_path / "a.mkv", frames=240)
    (tmp_path / "slow.vpy").write_text(SLOW)
    words = ("encode", "a.mkv", "-o", "b.mkv", "--script", "slow.vpy", "--encoder", "ffv1", "--chunk", "1")
    run = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", *media.command(*words)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    chunks = tmp_path / "b.mkv.vscugan" / "chunks"
    while not (chunks.is_dir() and any(chunks.iterdir())):
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    children = psutil.Process(run.pid).children(recursive=True)
    assert children
    run.send_signal(signal.SIGTERM)
    assert run.communicate(timeout=60)[1] == "vscugan encode: ended by SIGTERM; run the same command again to go on\n"
    assert run.returncode == 143
    assert not psutil.wait_procs(children, 10)[1]


def test_ctrl_c_ends_a_picture_that_is_being_computed(tmp_path: Path) -> None:
    for name, size in (("a.png", (64, 48)), ("b.png", (2400, 1800))):
        Image.new("RGB", size).save(tmp_path / name)
    words = ("image", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", *FAST, "--memory", 1000)
    run = subprocess.Popen(media.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout
    assert "a.png" in run.stdout.readline()
    time.sleep(0.5)  # now the second one is on its way, for half a minute
    start = time.monotonic()
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (out, err) == ("", "vscugan image: interrupted; run the same command again to go on\n")
    assert run.returncode == 130
    assert time.monotonic() - start < 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [NAME, "a.png"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("yuv420p10le", "YUV420P10"), ("yuv420p", "YUV420P8"), ("yuv444p16", "YUV444P16"), ("gray", "GRAY8"),
        ("gray16le", "GRAY16"), ("gbrp", "RGB24"), ("gbrp10le", "RGB30"), ("rgb48le", "RGB48"), ("p010le", "YUV420P10"),
        ("gbrpf32le", "RGBS"), ("YUV420P10", "YUV420P10"), ("yuv444ps", "yuv444ps"), ("yuv420p10be", "yuv420p10be"),
    ],
)  # fmt: skip
def test_formats_have_ffmpeg_s_names_too(theirs: str, ours: str) -> None:
    assert format_name(theirs) == ours


def test_models_are_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rows())
    assert main(["models", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(rows())


def test_cache_is_shown_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert "nothing in it" in capsys.readouterr().out
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert main(["cache", "clear"]) == 2  # somebody's own folder, named by mistake
    assert (folder / "mine.txt").exists()
    (folder / "mine.txt").unlink()
    media.plain(tmp_path / "a.mkv", frames=1)
    assert main(["preview", str(tmp_path / "a.mkv"), "--frame", "0", "-o", str(tmp_path / "p"), *FAST]) == 0
    assert (folder / "index").is_dir()
    assert main(["cache", "clear"]) == 0
    assert not list(folder.iterdir())


def test_preview_compares_at_1_to_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    words = ["preview", str(source), "--frame", "2", "--compare", "--crop", "10,20,40,30", "-o", str(tmp_path / "p"),
             "--noise", "no-denoise,3", "--format", "yuv420p10le", *FAST]  # fmt: skip
    assert main(words) == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]  # would be seen on stderr
    shots = {path.stem.removeprefix("a-2-"): np.asarray(Image.open(path)) for path in (tmp_path / "p").iterdir()}
    assert {name: shot.shape for name, shot in shots.items()} == {
        "source": (96, 128, 3), "no-denoise": (96, 128, 3), "denoise3x": (96, 128, 3), "compare": (16 + 96, 3 * 128, 3),
        "compare-1to1": (16 + 30, 3 * 40, 3),
    }  # fmt: skip
    parts = ("source", "no-denoise", "denoise3x")
    for place, name in enumerate(parts):
        assert np.array_equal(shots["compare"][16:, 128 * place : 128 * (place + 1)], shots[name])
        assert np.array_equal(shots["compare-1to1"][16:, 40 * place : 40 * (place + 1)], shots[name][20:50, 10:50])
        label = shots["compare"][:16, 128 * place : 128 * (place + 1)]
        assert label.max() > 200  # something is written there
    assert not any(np.array_equal(shots[a], shots[b]) for a, b in itertools.combinations(parts, 2))
    assert main(words) == 4
    assert main(["preview", str(source), "--frame", "3", *FAST]) == 2
    assert main(["preview", str(source), *FAST]) == 2
    assert main(["preview", str(source), "--frames", "best:5", *FAST]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "vscugan preview: PNG must not exist yet, got 'a-2-source.png'; say --overwrite, or another -o",
        "vscugan preview: frame must be 0 to 2, got 3; frames count from 0",
        "vscugan preview: frame must be given, got none; say --frame 1200, or --frames scenes:5",
        "vscugan preview: frames must be numbers, random:N or scenes:N, got best:5; write --frames 10,200 or --frames "
        "scenes:5",
    ]


def test_preview_shows_the_display_shape_and_goes_on_behind_a_bad_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.anamorphic(tmp_path)

    def fetch(clip: vs.VideoNode, n: int) -> vs.VideoFrame:
        if (clip.width, n) == (128, 1):
            raise FrameError("no light")
        return real(clip, n)

    real = shots.fetch
    monkeypatch.setattr(shots, "fetch", fetch)
    words = ("--frames", "random:2,1", "--frame", "0", "-o", str(tmp_path), *FAST)
    assert main(["preview", str(source), *words]) == 1
    out, err = capsys.readouterr()
    assert err == (
        "vscugan preview: frame 1, source: no light\nvscugan preview: frame 1, no-denoise: no light\n"
    )
    lines = out.splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[0] == f"'{tmp_path / 'sar_8_9-0-source.png'}': 128x108"  # 64x48 at 8:9, enlarged, never reduced
    assert all(line.endswith(": 128x108") for line in lines)


def test_scenes_are_frames_that_look_unlike() -> None:
    """Three colours, one of them for a moment only, and black, which nobody wants to see."""
    parts = [vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=length, color=[0, 128, 128])
             for length in (40, 40, 40, 10)]  # fmt: skip
    colours = ([90, 128, 128], [200, 60, 128], [150, 128, 220])
    drawn = [vs.core.std.AddBorders(part.std.Crop(right=32), right=32, color=colour)
             for part, colour in zip(parts[1:], colours, strict=True)]  # fmt: skip
    clip = vs.core.std.Splice([parts[0], *drawn])
    for count, scenes in ((3, [1, 2, 3]), (4, [0, 1, 2, 3])):
        assert [min(n // 40, 3) for n in different_frames(clip, count)] == scenes
    assert different_frames(clip[:2], 5) == [0, 1]


def test_json_events_are_for_programs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    script = tmp_path / "r.vpy"
    script.write_text("print('to stdout')\n" + media.RESIZE.replace("clip.width * 2", "int(zoom) * clip.width"))
    words = ["--script", str(script), "--arg", "zoom=3", "--encoder", "ffv1", "--json"]
    assert main(["encode", str(source), "-o", str(tmp_path / "b.mkv"), *words]) == 0
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
    words = ["--scale", "2", "--noise", "denoise1x", "--device", "cpu,cpu", "--arg", "crop=8", "--script", str(script)]
    result = tmp_path / "b.mkv"
    assert main(["encode", str(source), "-o", str(result), *words, "--encoder", "ffv1"]) == 0, capfd.readouterr().err
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


def test_benchmark_measures_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--size", "64x48", "--frames", "1", "--turns", "1", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and "fps" in line for line in lines)
    assert any(line.startswith("tensorrt") and "not here" in line for line in lines)
