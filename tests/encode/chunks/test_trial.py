"""An encoder is tried before the start."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from vscugan.encode.chunks.trial import reason, try_encoder
from vscugan.encode.encoders.encoder_rows import ENCODERS
from vscugan.encode.encoders.programs import find_encoder
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.errors import (
    ArgumentError,
    CuganError,
    EncoderError,
)


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("x264", "--crff 5", "Error parsing option 'crff = 5'"),
        ("x264", "--me foo --crf 16", "Error parsing option 'me = foo'"),
        ("x264", "--preset slw", "invalid preset 'slw'"),
        ("x265", "--crff 5", "Unknown option: crff"),
        ("x265", "--crf 999", "Valid quality based range: -qpBDOffsetY to 51"),
        ("x265", "--preset slw", "Error setting preset/tune slw/(null)"),
        ("svt-av1", "--bogus 1", "Error parsing option bogus: 1"),
        ("svt-av1", "--crf 999", "Value 999.000000 for parameter 'crf' out of range [0 - 63]"),
        ("svt-av1", "--qp 999", "QP must be [0 - 63]"),
        ("ffv1", "-bogus 1", "Unrecognized option 'bogus'"),
        ("ffv1", "-crf 5", "Codec AVOption crf (Select the quality for constant quality mode) has not been used for any"
         " stream"),
    ],
)  # fmt: skip
def test_arguments_are_tried_before_the_start(
    tmp_path: Path, hdr: StreamFormat, name: str, arguments: str, answer: str
) -> None:
    """Inside ffmpeg, misspelt ones are passed over with exit code 0."""
    with pytest.raises(ArgumentError) as error:
        try_encoder(find_encoder(name), arguments.split(), hdr, tmp_path, lambda process: None)
    assert str(error.value) == (
        f"encoder arguments must be those of {name} in ffmpeg, got its answer: {answer}; correct what stands behind --"
    )


@pytest.mark.parametrize("address", ["0x55b62cb17300", "000001c2a0b040c0"], ids=["glibc", "windows"])
def test_what_speaks_is_left_out(address: str) -> None:
    """Else what an encoder always says would be another text in each run, and the arguments' fault."""
    assert reason(f"[libx264 @ {address}] Error parsing option 'crff = 5'.\n") == "Error parsing option 'crff = 5'"


@pytest.mark.parametrize("name", [row.name for row in ENCODERS.values() if not row.is_hardware])
def test_vscugans_own_options_are_taken(tmp_path: Path, hdr: StreamFormat, name: str) -> None:
    for arguments in ([], ["-slices", "4"] if name == "ffv1" else ["--preset", "8" if name == "svt-av1" else "fast"]):
        try_encoder(find_encoder(name), arguments, hdr, tmp_path, lambda process: None)
        (written,) = tmp_path.glob("trial.m*")
        with av.open(str(written)) as file:
            assert file.streams.video[0].pix_fmt == "yuv420p10le"


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("echo x265 [info]: hello; case \"$*\" in *--crff*) echo \"x265: unrecognized option '--crff'\" >&2; exit 1; "
         "esac; cat >trial.hevc", ArgumentError, "encoder arguments must be those of x265, got its answer: x265: "
         "unrecognized option '--crff'; correct what stands behind --"),
        ("case \"$*\" in *--crff*) echo Unprocessed tokens: --crff; esac; cat >trial.hevc", ArgumentError,
         "encoder arguments must be those of x265, got its answer: Unprocessed tokens: --crff; correct what stands "
         "behind --"),
        ("echo Unknown option: chromaloc; cat >trial.hevc", None, ""),  # not the user's
        ("echo 'x265 [error]: crf'; case \"$*\" in *--crff*) exit 0; esac; cat >trial.hevc", ArgumentError,
         "encoder arguments must be those of x265, got its answer: crf; correct what stands behind --"),
        ("echo 'x265 [error]: stuck'; exec sleep 60", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got "
         "its answer: stuck; use another --encoder, --format or size"),
        ("exec sleep 60", None, ""),  # only slow
        ("cat >/dev/null", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its answer: it wrote nothing; "
         "use another --encoder, --format or size"),
        ("echo 'x265 [error]: too small'; exit 3", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its "
         "answer: too small; use another --encoder, --format or size"),
        ("kill -9 $$", EncoderError, "encoder x265 must take 64x48 px YUV420P10, got its answer: its end by SIGKILL; "
         "use another --encoder, --format or size"),
    ],
)  # fmt: skip
def test_a_tool_is_tried_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdr: StreamFormat, script: str, kind: type | None, message: str
) -> None:
    (tmp_path / "x265").write_text(f"#!/bin/sh\n[ $1 = --version ] && exit\n{script}\n")
    (tmp_path / "x265").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    if "sleep" in script:
        monkeypatch.setattr("vscugan.encode.chunks.trial.TRIAL_S", 0.6)
    raised: type | None = None
    text = ""
    try:
        try_encoder(find_encoder("x265"), ["--crff", "5"], hdr, tmp_path, lambda process: None)
    except CuganError as error:
        raised, text = type(error), str(error)
    assert (raised, text) == (kind, message)
