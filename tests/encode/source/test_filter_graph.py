"""The clip that is encoded: its rate, its format, and scripts that do not work."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from support import media
from support.encode_runs import refused

from vscugan.encode.container.timeline import Timeline
from vscugan.encode.source.filter_graph import COMMON_RATES, _default_format, _rate


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 24000), Fraction(1, 90000)], ids=str)
@pytest.mark.parametrize("rate", COMMON_RATES, ids=str)
def test_short_clips_have_the_rate_of_their_container(rate: Fraction, base: Fraction) -> None:
    """And long ones that of their timestamps."""
    other = Fraction(24) if rate == Fraction(24000, 1001) else Fraction(24000, 1001)
    for frames in (1, 2, 3, 25, 26, 2000):
        ticks = tuple(round(n / (rate * base)) for n in range(frames + 1))
        timeline = Timeline(base=base, ticks=ticks[:-1], last_ticks=ticks[-1] - ticks[-2])
        assert _rate(timeline, rate) == rate
    assert _rate(timeline, other) == rate
    assert _rate(timeline, Fraction(0)) == rate


@pytest.mark.parametrize(
    ("format", "encoder", "expected"),
    [
        (vs.YUV420P8, "x265", vs.YUV420P10),
        (vs.YUV422P8, "x264", vs.YUV422P10),
        (vs.YUV420P8, "svt-av1", vs.YUV420P10),
        (vs.GRAY8, "ffv1", vs.GRAY10),
        (vs.YUV420P8, "aomenc", None),
        (vs.YUV420P12, "x265", None),
        (vs.YUV420P10, "svt-av1", None),
        (vs.RGB24, "x265", None),
    ],
)
def test_encoders_get_10_bits_where_they_have_them(core: Any, format: int, encoder: str, expected: int | None) -> None:
    assert _default_format(core.std.BlankClip(format=format, length=1), encoder) == expected


def test_scripts_that_do_not_work(folder: Path) -> None:
    media.plain(folder / "a.mkv", frames=3)
    (folder / "bad.vpy").write_text("1 / 0\n")
    refused(folder, 2, "script must run, got ZeroDivisionError: division by zero; try it with vspipe --info 'bad.vpy'",
            "a.mkv", "-o", "o.mkv", "--script", "bad.vpy")  # fmt: skip
    (folder / "none.vpy").write_text("x = 1\n")
    refused(folder, 2, "script must set a video output 0, got none; end 'none.vpy' with clip.set_output()",
            "a.mkv", "-o", "o.mkv", "--script", "none.vpy")  # fmt: skip
