"""Small files with everything that a container may hold, made by ffmpeg, and what stands in a file."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import vapoursynth as vs

from vscugan.encode.container import ebml
from vscugan.encode.container import matroska_ids as ids
from vscugan.encode.container.matroska_header import PARTS, read_header
from vscugan.encode.container.matroska_restore import KEPT_OF_INFO, _seek_head
from vscugan.encode.container.streams import contents
from vscugan.encode.encoders.programs import find_ffmpeg

#: Matroska's elements that only these fixtures write (RFC 9559)
LEVEL, LEVEL_NAME, OF_EDITION, OF_CHAPTER, TAG_TEXT, TAG_LANGUAGE = 0x68CA, 0x63CA, 0x63C9, 0x63C4, 0x4487, 0x447A
EDITION_UID, IS_DEFAULT, CHAPTER_UID, CHAPTER_TRACKS, CHAPTER_TRACK_UID = 0x45BC, 0x45DB, 0x73C4, 0x8F, 0x89
TITLE, CHAPTER_LANGUAGE, BEGIN, END = 0x85, 0x437C, 0x91, 0x92
FAST = ("-c:v", "libx264", "-preset", "ultrafast")
#: a graph that needs no network: twice the size
RESIZE = """import vapoursynth as vs
vs.core.resize.Bicubic(clip, clip.width * 2, clip.height * 2).set_output()
"""
#: tags that the muxer writes itself, and those of a codec that is another one now
OWN_TAGS = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id",
            "creation_time"}  # fmt: skip
COLOUR = ("_Matrix", "_Primaries", "_Transfer", "_Range", "_ChromaLocation")
HDR = ("hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:max-cll=1000,400:"
       "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)")  # fmt: skip


def ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg; returns what it wrote to stdout."""
    command = [find_ffmpeg(), "-hide_banner", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def picture(frames: int = 30, size: str = "64x48", rate: str = "24") -> list[str]:
    """ffmpeg's arguments for a moving test picture as input."""
    return ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate},trim=end_frame={frames}"]


def sound(hertz: int) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=frequency={hertz}:duration=1.2"]


def plain(path: Path, frames: int = 30, size: str = "64x48") -> Path:
    """A constant video and nothing else."""
    ffmpeg(*picture(frames, size), "-pix_fmt", "yuv420p", *FAST, path)
    return path


def pgs(path: Path) -> Path:
    """A Blu-ray subtitle: one picture of 8x2 px, shown at 0.2 s and taken away at 0.6 s."""

    def segment(kind: int, at: float, body: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", round(at * 90000), 0, kind, len(body)) + body

    def composition(state: int, objects: bytes) -> bytes:
        return struct.pack(">HHBHBBBB", 64, 48, 0x10, 0, state, 0, 0, len(objects) // 8) + objects

    lines = b"\x00\x88\x01\x00\x00" * 2
    picture = struct.pack(">HBB", 0, 0, 0xC0) + (len(lines) + 4).to_bytes(3) + struct.pack(">HH", 8, 2) + lines
    window = struct.pack(">BBHHHH", 1, 0, 0, 0, 8, 2)
    shown = [(0x16, composition(0x80, struct.pack(">HBBHH", 0, 0, 0, 0, 0))), (0x17, window),
             (0x14, bytes([0, 0, 1, 235, 128, 128, 255])), (0x15, picture), (0x80, b"")]  # fmt: skip
    gone = [(0x16, composition(0, b"")), (0x17, window), (0x80, b"")]
    path.write_bytes(b"".join(segment(k, 0.2, b) for k, b in shown) + b"".join(segment(k, 0.6, b) for k, b in gone))
    return path


def two_audio(folder: Path) -> Path:
    path = folder / "two_audio.mkv"
    ffmpeg(*picture(), *sound(440), *sound(880), "-map", 0, "-map", 1, "-map", 2, *FAST, "-c:a:0", "aac", "-c:a:1",
           "flac", "-metadata:s:a:0", "language=jpn", "-metadata:s:a:0", "title=Stereo ∙ 日本語", "-metadata:s:a:1",
           "language=ger", "-metadata:s:a:1", "title=Kommentar", "-disposition:a:0", "default", "-disposition:a:1",
           "comment", path)  # fmt: skip
    return path


def three_subtitles(folder: Path) -> Path:
    path, srt, ass = folder / "three_subtitles.mkv", folder / "a.srt", folder / "b.ass"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,600\nJa, „gut“\n\n2\n00:00:00,700 --> 00:00:01,000\nZwei\n")
    ffmpeg("-i", srt, ass)
    ffmpeg(*picture(), "-i", srt, "-i", ass, "-i", pgs(folder / "c.sup"), "-map", 0,
           "-map", 1, "-map", 2, "-map", 3, *FAST, "-c:s", "copy", "-metadata:s:s:0", "language=ger",
           "-metadata:s:s:1", "title=Signs", "-metadata:s:s:2", "language=jpn", "-disposition:s:0", "0",
           "-disposition:s:1", "default+forced", "-disposition:s:2", "hearing_impaired", path)  # fmt: skip
    return path


def chapters(folder: Path) -> Path:
    path, text = folder / "chapters.mkv", folder / "chapters.txt"
    text.write_text(";FFMETADATA1\ntitle=A film\nARTIST=Nobody\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle="
                    "Opening\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1250\ntitle=Teil „zwei“\n")  # fmt: skip
    ffmpeg(*picture(), "-i", text, "-map", 0, "-map_metadata", 1, *FAST, path)
    return path


def fonts(folder: Path) -> Path:
    path = folder / "fonts.mkv"
    names = ("One.ttf", "Zwei Ü.otf")
    attach: list[object] = []
    for number, (name, kind) in enumerate(zip(names, ("font/ttf", "font/otf"), strict=True)):
        (folder / name).write_bytes(bytes(range(number, 200)) * 7)
        attach += ["-attach", folder / name, f"-metadata:s:t:{number}", f"mimetype={kind}"]
    ffmpeg(*picture(), *FAST, *attach, path)
    return path


def png_cover(folder: Path) -> Path:
    """A cover that has no name, as some programs write it."""
    path, image = folder / "png_cover.mkv", folder / "cover.png"
    ffmpeg(*picture(1), image)
    ffmpeg(*picture(), *FAST, "-attach", image, "-metadata:s:t", "mimetype=image/png", path)
    path.write_bytes(path.read_bytes().replace(b"\x46\x6e\x89cover.png", b"\x46\x6e\x80\xec\x87" + bytes(7)))
    return path


def cover(folder: Path) -> Path:
    path, image = folder / "cover.mkv", folder / "cover.jpg"
    ffmpeg(*picture(1), "-pix_fmt", "yuvj420p", image)
    ffmpeg(*picture(), *FAST, "-attach", image, "-metadata:s:t", "mimetype=image/jpeg", "-metadata:s:t",
           "title=The cover", path)  # fmt: skip
    return path


def _segment(path: Path) -> tuple[ebml.Element, list[ebml.Element]]:
    """The head of a Matroska file, and what its segment holds."""
    head, segment = (e for e in ebml.elements(path.read_bytes()) if e.id in (ids.EBML, ids.SEGMENT))
    return head, list(ebml.elements(segment.payload))


def rebuilt(source: Path, path: Path, order: Sequence[int], hole: int = 0, **parts: bytes) -> Path:
    """A Matroska file of these parts of another, in this order, found by its seek head; 0 is a hole in it.

    ``parts``: what to write in place of the source's, or where it has none, by the IDs' names in ``matroska``.
    """
    head, held = _segment(source)
    own = {getattr(ids, name): [ebml.encode(getattr(ids, name), part)] for name, part in parts.items()}
    pieces = {id: b"".join(own.get(id) or [e.encoded() for e in held if e.id == id]) for id in order} | {0: bytes(hole)}
    positions = {id: 0 for id in order if id in PARTS}
    at = len(_seek_head(positions))
    for id in order:
        if id in positions:
            positions[id] = at
        at += len(pieces[id])
    body = _seek_head(positions) + b"".join(pieces[id] for id in order)
    path.write_bytes(head.encoded() + ebml.encode(ids.SEGMENT, body))
    return path


def _element(id: int, *content: bytes | str | int) -> bytes:
    """An element of others, of a text or of a number."""
    payload = b""
    for part in content:
        if isinstance(part, int):
            part = part.to_bytes(max(1, part.bit_length() + 7 >> 3))
        payload += part.encode() if isinstance(part, str) else part
    return ebml.encode(id, payload)


def _chapter(uid: int, start_ms: int, end_ms: int, names: dict[str, str], *more: bytes) -> bytes:
    shown = (
        _element(ids.NAME, _element(TITLE, name), _element(CHAPTER_LANGUAGE, language))
        for language, name in names.items()
    )
    times = _element(BEGIN, start_ms * 1_000_000), _element(END, end_ms * 1_000_000)
    return _element(ids.CHAPTER, _element(CHAPTER_UID, uid), *times, *shown, *more)


def _tag(targets: bytes, name: str, value: str, *more: bytes, language: str = "und") -> bytes:
    told = _element(ids.TAG_NAME, name), _element(TAG_LANGUAGE, language), _element(TAG_TEXT, value), *more
    return _element(ids.TAG, _element(ids.TARGETS, targets), _element(ids.SIMPLE_TAG, *told))


def matroska_with_all(folder: Path) -> Path:
    """What mkvmerge writes and ffmpeg doesn't."""
    base, srt, font = folder / "base.mkv", folder / "a.srt", folder / "One.ttf"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,600\nOlá\n")
    font.write_bytes(bytes(range(200)) * 7)
    ffmpeg(*picture(), *sound(440), "-i", srt, "-map", 0, "-map", 1, "-map", 2, *FAST, "-c:a", "flac", "-c:s", "copy",
           "-metadata:s:a:0", "language=jpn", "-metadata:s:s:0", "language=por", "-attach", font,
           "-metadata:s:t", "mimetype=font/ttf", base)  # fmt: skip
    languages, uids, font_uid = ("und", "ja", "pt-BR"), (3, 5 << 40, 7), 11

    def named(entry: ebml.Element, id: int, uid: int, *more: bytes) -> bytes:
        others = (e.encoded() for e in ebml.elements(entry.payload) if e.id not in (id, ebml.CRC32))
        return _element(entry.id, *others, _element(id, uid), *more)

    payloads = {element.id: element.payload for element in _segment(base)[1]}
    tracks = [
        named(entry, ids.TRACK_UID, uid, _element(ids.BCP47, language))
        for entry, uid, language in zip(
            ebml.of_id(payloads[ids.TRACKS], ids.TRACK), uids, languages, strict=True
        )
    ]
    (entry,) = ebml.of_id(payloads[ids.ATTACHMENTS], ids.FILE)
    inner = _chapter(102, 100, 200, {"eng": "Inside"})
    of_audio = _element(CHAPTER_TRACKS, _element(CHAPTER_TRACK_UID, uids[1]))
    first = _element(
        ids.EDITION, _element(EDITION_UID, 1), _element(IS_DEFAULT, 1), _element(ids.IS_ORDERED, 1),
        _chapter(101, 0, 500, {"eng": "Part", "ger": "Teil"}, inner, of_audio),
        _chapter(103, 500, 900, {"eng": "Hidden"}, _element(ids.IS_HIDDEN, 1)),
    )  # fmt: skip
    second = _element(ids.EDITION, _element(EDITION_UID, 2), _chapter(104, 0, 900, {"jpn": "別"}))
    url = _element(ids.SIMPLE_TAG, _element(ids.TAG_NAME, "URL"), _element(TAG_TEXT, "https://example.com"))
    collection = _element(LEVEL, 70) + _element(LEVEL_NAME, "COLLECTION")
    tags = (
        _tag(collection, "TITLE", "Series", url, language="eng"),
        _tag(_element(LEVEL, 60), "PART_NUMBER", "2"),
        _tag(_element(OF_EDITION, 2), "TITLE", "Another cut"),
        _tag(_element(OF_CHAPTER, 103), "COMMENT", "of a chapter"),
        _tag(_element(ids.OF_TRACK, uids[0]), "BPS", "123"),
        _tag(_element(ids.OF_TRACK, uids[0]), "KEYWORDS", "of the video"),
        _tag(_element(ids.OF_TRACK, uids[1]), "BPS", "456"),
        _tag(_element(ids.OF_FILE, font_uid), "AUTHOR", "of the font"),
    )
    parts = (ids.INFO, ids.TRACKS, ids.ATTACHMENTS, ids.CHAPTERS, ids.TAGS, ids.CLUSTER)
    return rebuilt(
        base, folder / "matroska_with_all.mkv", parts, TRACKS=b"".join(tracks),
        ATTACHMENTS=named(entry, ids.FILE_UID, font_uid), CHAPTERS=first + second,
        TAGS=b"".join(tags),
    )  # fmt: skip


def vfr(folder: Path) -> Path:
    path = folder / "vfr.mkv"
    ffmpeg(*picture(), "-vf", "settb=1/24000,setpts='if(lt(N,12),N*1001,12012+(N-12)*801)'", "-fps_mode",
           "passthrough", "-enc_time_base", "1/24000", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", 2,
           path)  # fmt: skip
    return path


def anamorphic(folder: Path) -> Path:
    path = folder / "sar_8_9.mkv"
    ffmpeg(*picture(), "-vf", "setsar=8/9", "-pix_fmt", "yuv420p", *FAST, path)
    return path


def hdr10(folder: Path) -> Path:
    path = folder / "hdr10.mkv"
    ffmpeg(*picture(), "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", f"log-level=none:{HDR}", path)
    return path


def hlg(folder: Path) -> Path:
    path = folder / "hlg.mkv"
    flags = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:range=limited:chromaloc=2"
    ffmpeg(*picture(), "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", f"log-level=none:{flags}", path)
    return path


def full_range(folder: Path) -> Path:
    path = folder / "full_range.mkv"
    flags = "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:range=pc:chromaloc=0:sar=8/9"
    ffmpeg(*picture(), "-vf", "scale=out_range=full,setsar=8/9", "-pix_fmt", "yuv420p", *FAST, "-x264-params", flags,
           path)  # fmt: skip
    return path


def rotated(folder: Path) -> Path:
    """Turned by 90 degrees, with pixels of 4:3 before that."""
    path, upright = folder / "rotated.mp4", folder / "upright.mp4"
    ffmpeg(*picture(), "-vf", "setsar=4/3", "-pix_fmt", "yuv420p", *FAST, upright)
    ffmpeg("-display_rotation", 90, "-i", upright, "-c", "copy", path)
    return path


def odd_size(folder: Path) -> Path:
    path = folder / "odd_65x49.mkv"
    ffmpeg(*picture(), "-vf", "scale=65:49", "-pix_fmt", "yuv444p", *FAST, path)
    return path


def cropped(folder: Path) -> Path:
    """Matroska's own cropping: 4 px at the left and 2 on top, written over the track's colour element."""
    path = folder / "cropped.mkv"
    ffmpeg(*picture(), "-pix_fmt", "yuv420p", *FAST, "-bsf:v", "h264_metadata=matrix_coefficients=1", "-color_range",
           "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", path)  # fmt: skip
    content = bytearray(path.read_bytes())
    place = content.find(b"\x55\xb0")
    length = 3 + (content[place + 2] & 0x7F)
    crop = bytes.fromhex("54CC8104 54BB8102")
    rest = length - len(crop) - 2
    content[place : place + length] = crop + bytes([0xEC, 0x80 | rest]) + bytes(rest)
    path.write_bytes(content)
    return path


def mp4_with_all(folder: Path) -> Path:
    path, srt, image = folder / "all.mp4", folder / "d.srt", folder / "e.jpg"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,600\nHallo\n")
    text = chapters(folder).with_suffix(".txt")
    ffmpeg(*picture(1), "-pix_fmt", "yuvj420p", image)
    ffmpeg(*picture(30, rate="24000/1001"), *sound(440), *sound(660), "-i", srt, "-i", image, "-i", text, "-map", 0,
           "-map", 1, "-map", 2, "-map", 3, "-map", 4, "-map_metadata", 5, "-map_chapters", 5, "-pix_fmt:v:0",
           "yuv420p", "-c:v:0", "libx264", "-bf", 2, "-c:v:1", "copy", "-c:a", "aac", "-c:s", "mov_text",
           "-disposition:v:1", "attached_pic", "-metadata:s:a:0", "language=jpn", "-metadata:s:a:1", "language=eng",
           "-disposition:a:0", "default", "-disposition:a:1", 0, path)  # fmt: skip
    return path


FIXTURES: tuple[tuple[str, Callable[[Path], Path]], ...] = (
    ("two audio tracks: names, languages, default and comment flags", two_audio),
    ("three kinds of subtitles: SRT, ASS, PGS; default, forced, hearing-impaired", three_subtitles),
    ("chapters, and tags of the file", chapters),
    ("two attached fonts", fonts),
    ("cover picture", cover),
    ("cover picture, PNG", png_cover),
    ("variable frame rate, B-frames", vfr),
    ("pixels of 8:9", anamorphic),
    ("HDR10: PQ, BT.2020, mastering display, light levels", hdr10),
    ("HLG", hlg),
    ("rotated by 90°, with pixels of 4:3, MP4", rotated),
    ("odd size 65x49, 4:4:4", odd_size),
    ("Matroska's own cropping", cropped),
    (
        "editions, chapters in chapters, in two languages and hidden; pt-BR; tags of series, edition, chapter, font",
        matroska_with_all,
    ),
    ("MP4: two audio tracks, mov_text, chapters, cover, 23.976 fps with B-frames", mp4_with_all),
)


def frame_hashes(path: Path) -> list[str]:
    """The md5 of each decoded frame of the first video."""
    lines = ffmpeg("-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-").decode().splitlines()
    return [line.rsplit(",", 1)[1].strip() for line in lines if not line.startswith("#")]


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
    """What libav doesn't tell of chapters, tags and languages."""
    header = read_header(path)
    if not header:
        return {}
    found: dict[str, Any] = {"chapters": header.parts[ids.CHAPTERS]}
    told = (e for e in ebml.elements(header.parts[ids.INFO]) if e.id in KEPT_OF_INFO)
    found |= {f"file {element.id:x}": element.payload for element in told}
    own = (ids.TRACK_UID, ids.FILE_UID, ids.BCP47)
    for n, entry in enumerate(header.entries):
        found |= {f"{n} {e.id:x}": e.payload.lstrip(b"\0") for e in ebml.elements(entry.payload) if e.id in own}
    for tag in (e for e in ebml.elements(header.parts[ids.TAGS]) if e.id == ids.TAG):
        held = [e for e in ebml.elements(tag.payload) if e.id != ebml.CRC32]
        aims = b"".join(e.payload for e in held if e.id == ids.TARGETS).hex()
        names = [n.text.lower() for e in held for n in ebml.elements(e.payload) if n.id == ids.TAG_NAME]
        if not set(names) & {"encoder", "duration"}:
            found[f"tag {', '.join(names)} of {aims}"] = [e.encoded() for e in held]
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
    if path.stem == "rotated":  # bestsource tells the shape that the pixels have before they are turned
        assert found["picture sar"] == (4, 3)
        found["picture sar"] = (3, 4)
    found["picture size"] = tuple(2 * side for side in found["picture size"])
    return found


def compare(source: Path, result: Path) -> tuple[int, list[str]]:
    """How many facts there are, and those that were not kept."""
    before, after = expected(source), facts(result)
    return len(before), [f"{n}: {v!r} became {after.get(n)!r}" for n, v in before.items() if after.get(n) != v]


def command(*words: object) -> Sequence[str]:
    """The command line of the installed vscugan."""
    import sys

    return [sys.executable, "-P", "-m", "vscugan", *map(str, words)]
