"""``vscugan encode``: events as JSON, scripts, and bits that arrive unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import media

from vscugan.__main__ import main


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
