"""An output's name, which decides on its container."""

from __future__ import annotations

from pathlib import Path

from vscugan.errors import ArgumentError

#: libav's muxer for each ending of an output's name
MUXERS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4"}


def muxer_of(output: Path) -> str:
    """The muxer for an output's name.

    Raises: ArgumentError.
    """
    try:
        return MUXERS[output.suffix.lower()]
    except KeyError:
        raise ArgumentError(
            f"output must end in {', '.join(MUXERS)}, got {output.name!r}; Matroska (.mkv) holds everything"
        ) from None
