"""The source opened by bestsource, which indexes it, and the damage that is found on the way."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import vapoursynth as vs

from vscugan.cache import ensure_folder, unwritable
from vscugan.encode.source.damage import Damage, cache_damage, cached_damage, find_damage, libav_errors
from vscugan.encode.source.main_video import MainVideo
from vscugan.encode.source.source_file import refusal

#: bestsource: read and write the index always, below the cache path
CACHE_ALWAYS = 2
#: how its error begins where it can't
INDEX_UNWRITTEN = "Failed to write index"
#: VapourSynth's own messages come out here too
LOGGER = logging.getLogger("vapoursynth")
_PERCENT = re.compile(r"index progress (\d+)%")


def _is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether it is another message than that bestsource's signature leaves out the timestamps that it returns."""
    return "no return value(s) named" not in record.getMessage()


@dataclass(frozen=True, kw_only=True)
class IndexedClip:
    """A clip as bestsource decodes it, with the timestamp of each frame."""

    clip: vs.VideoNode
    base: Fraction  #: s a tick
    ticks: tuple[int, ...]


def open_indexed(path: Path, video: MainVideo, progress: Callable[[int], None]) -> tuple[IndexedClip, Damage]:
    """Open and index the video, and find its damage; that is looked for where libav says so, or the index is old.

    Raises: SourceError, DiskError where the cache can't hold the index.
    """
    cached = cached_damage(path, video.stream)
    percents: list[int] = []

    def listen(percent: int) -> None:
        percents.append(percent)
        progress(percent)

    with libav_errors() as errors:
        opened = _open(path, video.stream, listen, cached or Damage())
    if cached is not None:
        return opened, cached
    found, frames = Damage(), len(opened.ticks)
    if errors or video.is_corrupt or not percents or video.packets > frames:
        message = errors[0] if errors else "the container marks packets as damaged" if video.is_corrupt else ""
        found = find_damage(path, video.stream, opened.ticks, message)
    if found.is_seen:
        opened = _open(path, video.stream, progress, found)
        if len(opened.ticks) != frames:  # one thread may get through more
            found = find_damage(path, video.stream, opened.ticks, found.said)
    cache_damage(path, video.stream, found)
    return opened, found


def _open(path: Path, stream: int, progress: Callable[[int], None], damage: Damage) -> IndexedClip:
    def listen(level: int, message: str) -> None:
        if found := _PERCENT.search(message):
            progress(int(found[1]))

    # several threads decode damaged frames differently each time, which bestsource does not stand
    folder, threads = (ensure_folder("index-damaged"), 1) if damage.is_seen else (ensure_folder("index"), 0)
    handle = vs.core.add_log_handler(listen)
    LOGGER.addFilter(_is_worth_logging)
    try:
        opened = vs.core.bs.VideoSource(
            str(path), track=stream, threads=threads, cachemode=CACHE_ALWAYS, cachepath=str(folder), showprogress=1,
            exporttimestamps=1,
        )  # fmt: skip
    except vs.Error as error:
        if INDEX_UNWRITTEN in str(error):
            raise unwritable("bestsource could not write its index") from error
        raise refusal(path, str(error).removeprefix("VideoSource: ")) from error
    finally:
        vs.core.remove_log_handler(handle)
        LOGGER.removeFilter(_is_worth_logging)
    stamps = opened["timestamps"]
    return IndexedClip(
        clip=opened["clip"], base=Fraction(int(opened["timebasenum"]), int(opened["timebaseden"])),
        ticks=tuple(map(int, [stamps] if isinstance(stamps, int) else stamps)),  # one value comes as itself
    )  # fmt: skip
