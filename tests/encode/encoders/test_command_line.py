"""The encoders' command lines: the colour, the defaults, and a program of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.encoders import program

from vscugan.encode.encoders import command_line
from vscugan.encode.encoders.command_line import command
from vscugan.encode.encoders.programs import Program, check_arguments
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import ArgumentError

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("x265", f"--colorprim bt2020 --transfer smpte2084 --colormatrix bt2020nc --range limited --chromaloc 2 "
                 f"--sar 8:9 --master-display {MASTERING} --max-cll 1000,400"),
        ("x264", f"--colorprim bt2020 --transfer smpte2084 --colormatrix bt2020nc --range tv --chromaloc 2 "
                 f"--sar 8:9 --mastering-display {MASTERING} --cll 1000,400"),
        ("svt-av1", "--color-primaries 9 --transfer-characteristics 16 --matrix-coefficients 9 --color-range 0 "
                    "--chroma-sample-position 2 --mastering-display "
                    "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005) --content-light 1000,400"),
    ],
)  # fmt: skip
def test_tools_are_given_the_colour(hdr: StreamFormat, name: str, flags: str) -> None:
    call = command(program(name, False), ["--crf", "16", "--preset=5", "--tune", "0"], hdr, Path("/o.x"))
    start = {"x265": "--y4m --output-depth 10", "x264": "--demuxer y4m --output-depth 10", "svt-av1": "-i stdin"}[name]
    end = {"svt-av1": ["-b", "/o.x"]}.get(name, ["-o", "/o.x", "-"])
    assert call == ["/bin/tool", *start.split(), *flags.split(), "--crf", "16", "--preset=5", "--tune", "0", *end]


def test_ffmpeg_is_given_the_colour(hdr: StreamFormat) -> None:
    call = command(program("x265", True), ["--crf", "16", "--preset", "slow", "--no-sao"], hdr, Path("/o.mkv"))
    params = call[call.index("-x265-params") + 1]
    assert params.startswith("colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:")
    assert params.endswith(":max-cll=1000,400:log-level=error:aq-mode=3:crf=16:no-sao=1")
    assert "sar=8\\:9" in params
    assert call[call.index("-preset") + 1] == "slow"
    assert call[call.index("-vf") + 1] == (
        "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv:chroma_location=topleft"
    )
    assert call[call.index("-pix_fmt") + 1] == "+yuv420p10le"


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("x265", "", "--preset medium --crf 18 --aq-mode 3 --no-sao"),
        ("x265", "--sao --preset=slow", "--crf 18 --aq-mode 3 --sao --preset=slow"),
        ("x265", "--tune grain --bitrate 9000", "--preset medium --tune grain --bitrate 9000"),
        ("x264", "", "--preset medium --crf 17 --tune animation"),
        ("x264", "--qp 0", "--preset medium --tune animation --qp 0"),
        ("svt-av1", "", "--preset 6 --crf 22 --tune 0"),
        ("svt-av1", "--rc 1 --tbr 9000", "--preset 6 --tune 0 --rc 1 --tbr 9000"),
        ("ffv1", "-g 24", "-level 3 -slicecrc 1 -g 24"),
    ],
)
def test_defaults_give_way_to_the_users_options(name: str, arguments: str, options: str) -> None:
    assert command_line.encoder_options(program(name, True), arguments.split()) == options.split()


def test_a_program_of_your_own(hdr: StreamFormat) -> None:
    own = Program(name="mine", path="/bin/mine", is_ffmpeg=False, version="1", row=None)
    arguments = ["--ivf", "-c", "{matrix}:{transfer}", "-o", "{output}.ivf", "-"]
    check_arguments(own, arguments)
    assert command_line.output_suffix(own, arguments) == ".ivf"
    call = command(own, arguments, hdr, Path("/tmp/000001.ivf"))
    assert call == ["/bin/mine", "--ivf", "-c", "9:16", "-o", "/tmp/000001.ivf", "-"]
    with pytest.raises(ArgumentError) as error:
        check_arguments(own, ["-"])
    assert str(error.value) == (
        "arguments of mine must name {output}, got none that does; say for example -- --crf 20 -o {output}.ivf -"
    )
