"""What stands in a file, and what of it must be found in its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import vapoursynth as vs

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import read_header
from vscugan.encode.container.matroska_restore import KEPT_OF_INFO
from vscugan.encode.container.streams import contents

#: tags that the muxer writes itself, and those of a codec that is another one now
OWN_TAGS = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id",
            "creation_time"}  # fmt: skip
COLOUR = ("_Matrix", "_Primaries", "_Transfer", "_Range", "_ChromaLocation")


def _tags(values: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in values.items()
            if name.lower() not in OWN_TAGS and not name.lower().startswith(("encoder", "duration"))}  # fmt: skip


def _shown(path: Path) -> dict[str, Any]:
    """What a decoder says of the first video's frames."""
    clip = vs.core.bs.VideoSource(str(path), cachemode=0)
    with clip.get_frame(0) as frame:
        props = dict(frame.props)
    names = [n for n in props if n.startswith(("Mastering", "ContentLight")) or n in COLOUR]
    return {"size": (clip.width, clip.height), "frames": clip.num_frames,
            "sar": (props.get("_SARNum", 1), props.get("_SARDen", 1)), **{n: props[n] for n in names}}  # fmt: skip


def _stamps(file: Any) -> list[float]:
    stream = file.streams.video[0]
    return sorted(float(p.pts * p.time_base) for p in file.demux(stream) if p.pts is not None)


def _only_in_matroska(path: Path) -> dict[str, Any]:
    """What libav leaves out of chapters, tags and languages."""
    header = read_header(path)
    if not header:
        return {}
    found: dict[str, Any] = {"chapters": header.parts[ids.CHAPTERS]}
    kept = (e for e in ebml.elements(header.parts[ids.INFO]) if e.id in KEPT_OF_INFO)
    found |= {f"file {element.id:x}": element.payload for element in kept}
    own = (ids.TRACK_UID, ids.FILE_UID, ids.BCP47)
    for n, entry in enumerate(header.entries):
        found |= {f"{n} {e.id:x}": e.payload.lstrip(b"\0") for e in ebml.elements(entry.payload) if e.id in own}
    for tag in (e for e in ebml.elements(header.parts[ids.TAGS]) if e.id == ids.TAG):
        fields = [e for e in ebml.elements(tag.payload) if e.id != ebml.CRC32]
        targets = b"".join(e.payload for e in fields if e.id == ids.TARGETS).hex()
        names = [n.text.lower() for e in fields for n in ebml.elements(e.payload) if n.id == ids.TAG_NAME]
        if not set(names) & {"encoder", "duration"}:
            found[f"tag {', '.join(names)} of {targets}"] = [e.encoded() for e in fields]
    return found


def facts(path: Path) -> dict[str, Any]:
    """Everything about a file that must not get lost, each under a name of its own."""
    found: dict[str, Any] = {}
    with av.open(str(path)) as file:
        found["tags"] = _tags(dict(file.metadata))
        for n, chapter in enumerate(file.chapters()):
            start, end = (float(chapter[k] * chapter["time_base"]) for k in ("start", "end"))
            found[f"chapter {n}"] = (round(start, 3), round(end, 3), dict(chapter["metadata"]))
        counts: dict[str, int] = {}
        main = file.streams.video[0].index
        held = contents(path)
        for stream in file.streams:
            if stream.type == "data":  # MP4's text track of the chapters
                continue
            name = f"{stream.type} {counts.setdefault(stream.type, 0)}"
            counts[stream.type] += 1
            found[f"{name} tags"] = _tags(dict(stream.metadata))
            found[f"{name} flags"] = int(stream.disposition)
            if stream.index != main:
                found[f"{name} content"] = held[stream.index].sha256
        stamps = _stamps(file)
    for n, stamp in enumerate(stamps):
        found[f"timestamp {n}"] = round(stamp, 3)
    found |= _only_in_matroska(path)
    return found | {f"picture {name}": value for name, value in _shown(path).items()}


def expected(path: Path) -> dict[str, Any]:
    """The facts of a source as they must be found in its result at twice the size."""
    found = facts(path)
    if path.stem == "matroska_with_all":  # statistics of the old video
        del found["tag bps of 63c58103"], found["video 0 tags"]["bps"]
    if path.stem == "png_cover":
        found["video 1 tags"]["filename"] = "cover.png"
    if path.stem == "cropped":
        found["picture size"] = (60, 46)
    if path.stem == "rotated":  # bestsource has the shape of the pixels before they are turned
        assert found["picture sar"] == (4, 3)
        found["picture sar"] = (3, 4)
    found["picture size"] = tuple(2 * side for side in found["picture size"])
    return found


def compare(source: Path, result: Path) -> tuple[int, list[str]]:
    """How many facts there are, and those that were not kept."""
    before, after = expected(source), facts(result)
    return len(before), [f"{n}: {v!r} became {after.get(n)!r}" for n, v in before.items() if after.get(n) != v]
