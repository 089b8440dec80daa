"""Small files with everything that a container may hold, made by ffmpeg."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from support.matroska_files import matroska_with_all
from support.media import FAST, anamorphic, ffmpeg, picture, sound

HDR = ("hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:chromaloc=2:max-cll=1000,400:"
       "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)")  # fmt: skip


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


def vfr(folder: Path) -> Path:
    path = folder / "vfr.mkv"
    ffmpeg(*picture(), "-vf", "settb=1/24000,setpts='if(lt(N,12),N*1001,12012+(N-12)*801)'", "-fps_mode",
           "passthrough", "-enc_time_base", "1/24000", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", 2,
           path)  # fmt: skip
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
