"""``vscugan preview``."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from PIL import Image
from support import media

from vscugan.__main__ import main
from vscugan.cli import preview_command
from vscugan.errors import FrameError
from vscugan.image import shots

FAST = ("--device", "cpu", "--backend", "torch")


def test_preview_compares_at_1_to_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = media.plain(tmp_path / "a.mkv", frames=3)
    argv = ["preview", str(source), "--frame", "2", "--compare", "--crop", "10,20,40,30", "-o", str(tmp_path / "p"),
             "--noise", "no-denoise,3", "--format", "yuv420p10le", *FAST]  # fmt: skip
    assert main(argv) == 0
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
    assert main(argv) == 4
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


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"noise": ["no-denoise", "0"]}, ["no-denoise", "conservative"]),
        ({"model": "fast", "strength": 1.5}, ["fast-strength-1.5"]),
        ({"weights": "x.pth"}, ["weights-x"]),
        ({"weights": "x.safetensors", "model": "fast", "noise": ["1", "3"]},
         ["fast-weights-x-denoise1x", "fast-weights-x-denoise3x"]),
    ],
)  # fmt: skip
def test_each_result_has_a_name(options: dict[str, Any], labels: list[str]) -> None:
    assert list(preview_command._variants(options)) == labels


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
    argv = ("--frames", "random:2,1", "--frame", "0", "-o", str(tmp_path), *FAST)
    assert main(["preview", str(source), *argv]) == 1
    out, err = capsys.readouterr()
    assert err == (
        "vscugan preview: frame 1, source: no light\nvscugan preview: frame 1, no-denoise: no light\n"
    )
    lines = out.splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[0] == f"'{tmp_path / 'sar_8_9-0-source.png'}': 128x108"  # 64x48 at 8:9, enlarged, never reduced
    assert all(line.endswith(": 128x108") for line in lines)
