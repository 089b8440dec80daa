"""Which streams of a source go into the finished file, and what of it is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vscugan.encode.container import unsupported
from vscugan.encode.container.matroska_header import Header, left_to_libav, read_header
from vscugan.encode.container.output_name import muxer_of
from vscugan.encode.container.streams import COVER, Track, tracks


@dataclass(frozen=True, kw_only=True)
class KeptStreams:
    """What the finished file takes over from the source."""

    tracks: tuple[Track, ...]  #: in the order in which they are written, the video among them
    header: Header | None  #: the source's, where it is put back into the file


def keep_streams(
    source: Path, video: int, output: Path, *, leave_out: bool, note: Callable[[str], None]
) -> KeptStreams:
    """Choose what the output holds of the source, whose stream ``video`` is coded anew.

    ``leave_out``: what it does not hold may be dropped; ``note`` is called with each thing, for people.
    Raises: ConflictError where something would be dropped that must not be.
    """
    muxer = muxer_of(output)
    found = tracks(source)
    left_out = unsupported.unsupported_streams(source, found, video, muxer)
    written = [track for track in found if track not in left_out and track.kind != "data"]
    dropped = [track.label for track in left_out] + list(unsupported.unsupported_tags(source, written, muxer))
    header, beyond_libav = _header(source, found, note)
    if header is None or muxer != "matroska":
        dropped += beyond_libav
        header = None
    unsupported.refuse_unsupported(dropped, output, leave_out)
    for label in dropped:
        note(f"{label} is left out, as asked")
    # covers and fonts stand behind the tracks in every container
    written.sort(key=lambda track: (track.kind == "attachment", bool(track.disposition & COVER)))
    return KeptStreams(tracks=tuple(written), header=header)


def _header(source: Path, found: Sequence[Track], note: Callable[[str], None]) -> tuple[Header | None, tuple[str, ...]]:
    """The source's header where it can be put back, and what is dropped where it is not."""
    try:
        header = read_header(source)
        beyond_libav = header.beyond_libav() if header else ()
    except ValueError as error:
        note(left_to_libav(f"there is {error}"))
        return None, ()
    if header is None or header.is_of(found):
        return header, beyond_libav
    note(left_to_libav("it finds other tracks"))
    return None, beyond_libav
