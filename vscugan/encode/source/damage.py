"""Damage in a source: which frames the decoder had to make up, or could not make at all.

bestsource decodes a whole file once, for its index, and hands out what comes of it without a word. What its libav says
of errors meanwhile goes to the process's stderr: only where it says something is the file decoded once more, to learn
which frames it means. What was found is kept in the cache, beside the index.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import vapoursynth as vs

from vscugan.cache import read_cached, write_cached

#: libav's levels: errors, and nothing
AV_LOG_ERROR, AV_LOG_QUIET = 16, -8
STDERR = 2
#: so many spans of frames stand in a note; the certificate has them all
MOST_SPANS = 12
_LIBAV_LINE = re.compile(r"^(?:\[[^\]]+ @ \w+\] (.+)| +Last message repeated .+)\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is damaged: frames by their numbers, how many are missing, and the first thing that libav said of it."""

    frames: tuple[int, ...] = ()
    missing: int = 0
    said: str = ""

    @property
    def is_seen(self) -> bool:
        """Whether frames are touched: these come out the same each time only of a decoder with one thread."""
        return bool(self.frames or self.missing)

    def described(self) -> dict[str, Any]:
        """As it stands in a certificate; nothing for a whole source."""
        return {"damage": asdict(self) | {"frames": list(self.frames)}} if self.is_seen else {}

    def notes(self) -> list[str]:
        """For people: what is damaged."""
        reason = f" ({self.said})" if self.said else ""
        notes = []
        if self.frames:
            where = "frame" if len(self.frames) == 1 else f"{len(self.frames)} frames:"
            notes.append(f"source is damaged, and the result with it in {where} {_spans(self.frames)}{reason}")
        if self.missing:
            notes.append(
                f"source is damaged: {self.missing} of its frames can't be decoded, and the result lacks them{reason}"
            )
        if self.said and not notes:
            notes.append(f"source may be damaged, but the decoder marks no frame{reason}")
        return notes


def _spans(numbers: Sequence[int]) -> str:
    """Numbers that rise, for people: ``3, 7 to 9``."""
    starts = [numbers[0], *(b for a, b in pairwise(numbers) if b > a + 1)]
    ends = [*(a for a, b in pairwise(numbers) if b > a + 1), numbers[-1]]
    spans = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return ", ".join(spans[:MOST_SPANS]) + (f" and {len(spans) - MOST_SPANS} more spans" if spans[MOST_SPANS:] else "")


def _flush() -> None:
    """Hand over what Python still has for stderr, if it has one that takes it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


@contextlib.contextmanager
def libav_errors() -> Iterator[list[str]]:
    """What bestsource's libav says of errors meanwhile; the list is filled at the end."""
    errors: list[str] = []
    with contextlib.ExitStack() as stack:
        try:
            kept = os.dup(STDERR)
        except OSError:  # closed: nothing can be heard
            yield errors
            return
        stack.callback(os.close, kept)
        log = stack.enter_context(tempfile.TemporaryFile())
        _flush()
        os.dup2(log.fileno(), STDERR)
        vs.core.bs.SetFFmpegLogLevel(level=AV_LOG_ERROR)
        try:
            yield errors
        finally:
            vs.core.bs.SetFFmpegLogLevel(level=AV_LOG_QUIET)
            _flush()
            os.dup2(kept, STDERR)
            log.seek(0)
            said = log.read().decode(errors="replace")
            errors += filter(None, _LIBAV_LINE.findall(said))
            rest = _LIBAV_LINE.sub("", said).encode()  # somebody else's words
            with contextlib.suppress(OSError):  # nobody can hear them
                while rest:
                    rest = rest[os.write(STDERR, rest) :]


def find_damage(path: Path, stream: int, ticks: Sequence[int], said: str) -> Damage:
    """Decode a whole stream to find which of the frames at these ticks are marked as damaged.

    ``said``: libav's first message about it.
    """
    places = {tick: n for n, tick in enumerate(ticks)}
    frames, count, packets, failures = set(), 0, 0, 0
    with av.open(str(path.resolve())) as container:
        video = next(each for each in container.streams.video if each.index == stream)
        video.thread_type = "SLICE"  # several frames at a time are not marked alike each time
        for packet in container.demux(video):
            packets += bool(packet.size)
            try:
                decoded = video.decode(packet if packet.size else None)
            except av.FFmpegError:
                failures += 1
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    frames.add(count if frame.pts is None else places.get(frame.pts, count))
                count += 1
    missing = max(0, packets - len(ticks)) if failures else 0  # a packet that does not fail may hold none
    return Damage(frames=tuple(sorted(frames)), missing=missing, said=said)


def _record_name(path: Path, stream: int) -> str:
    status = path.stat()
    about = f"{path.resolve()}:{stream}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
    return f"damage/{hashlib.sha256(about.encode(errors='surrogateescape')).hexdigest()[:32]}.json"


def cached_damage(path: Path, stream: int) -> Damage | None:
    """What was found of a file before; None where nobody has looked, or it has changed since."""
    try:
        found = json.loads(read_cached(_record_name(path, stream)) or b"null")
        return Damage(frames=tuple(map(int, found["frames"])), missing=int(found["missing"]), said=str(found["said"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def cache_damage(path: Path, stream: int, damage: Damage) -> None:
    """Keep what was found of a file, also where that is nothing."""
    write_cached(_record_name(path, stream), json.dumps(asdict(damage)).encode())
