"""Encoders that need not be installed."""

from __future__ import annotations

from vscugan.encode.encoders.encoder_rows import ENCODERS
from vscugan.encode.encoders.programs import Program


def program(name: str, is_ffmpeg: bool) -> Program:
    """An encoder as if it were found at /bin/tool."""
    return Program(name=name, path="/bin/tool", is_ffmpeg=is_ffmpeg, version="1", row=ENCODERS[name])
