"""The other commands: preview, verify, models, cache, benchmark, and real upscaling through encode."""

from __future__ import annotations

import json
from pathlib import Path

import media
import numpy as np
import pytest
from PIL import Image

from vscugan.__main__ import COMMANDS, main
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
    media.plain(tmp_path / "a.mkv", frames=3)
    assert main(["preview", str(tmp_path / "a.mkv"), "--frame", "1", "-o", str(tmp_path / "p"), *FAST]) == 0
    assert (folder / "index").is_dir()
    assert main(["cache", "clear"]) == 0
    assert not list(folder.iterdir())


def test_preview_compares_at_1_to_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    words = ["preview", str(source), "--frame", "2", "--compare", "--crop", "10,20,40,30", "-o", str(tmp_path), *FAST]
    assert main(words) == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]  # would be seen on stderr
    sizes = {name: Image.open(tmp_path / name).size for name in ("a-2.png", "a-2-compare.png", "a-2-compare-1to1.png")}
    assert sizes == {"a-2.png": (128, 96), "a-2-compare.png": (256, 96), "a-2-compare-1to1.png": (80, 30)}
    whole, both = (np.asarray(Image.open(tmp_path / name)) for name in ("a-2.png", "a-2-compare.png"))
    assert np.array_equal(both[:, 128:], whole)
    assert not np.array_equal(both[:, :128], whole)
    assert main(words) == 2
    assert "PNG must not exist yet, got 'a-2.png'" in capsys.readouterr().err
    assert main(["preview", str(source), "--frame", "3", *FAST]) == 2
    assert "vscugan preview: frame must be 0 to 2, got 3; frames count from 0" in capsys.readouterr().err


def test_json_events_are_for_programs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    script = tmp_path / "r.vpy"
    script.write_text("print('to stdout')\n" + media.RESIZE.replace("clip.width * 2", "int(zoom) * clip.width"))
    words = ["--script", str(script), "--arg", "zoom=3", "--encoder", "ffv1", "--json"]
    assert main(["encode", str(source), "-o", str(tmp_path / "b.mkv"), *words]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [event["event"] for event in events if event["event"] != "index"]
    assert kinds == ["plan", "progress", "chunk", "mux", "check", "done"]
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
    assert main(["verify", str(result), "--script", str(script)]) == 0


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
