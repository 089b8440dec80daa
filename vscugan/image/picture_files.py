"""Picture files as arrays: 8 and 16 bit, gray or RGB, with alpha, ICC profile and EXIF."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from vscugan.errors import ArgumentError, SourceError
from vscugan.files import write_whole

#: what Pillow calls the formats, by the endings of names
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF", ".tif": "TIFF",
           ".tiff": "TIFF"}  # fmt: skip
DEEP = ("PNG", "TIFF")
ORIENTATION = 0x0112
#: text in a 16-bit TIFF that goes along: description, make, model, software, date, artist, copyright
TIFF_TEXTS = (270, 271, 272, 305, 306, 315, 33432)
TIFF_ICC = 34675
#: of a TIFF's sample: the colour is multiplied with it
ASSOCIATED_ALPHA = 1
#: size, depth, compression, strips, tiles, palette, ... of a TIFF, which Pillow lists among the EXIF tags
STORAGE = (*range(254, 267), 273, 277, 278, 279, 284, *range(288, 292), 317, 320, 322, 323, 324, 325, 330, 338, 339,
           347, *range(529, 533), TIFF_ICC)  # fmt: skip
PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture: ``pixels`` (H, W, 1 or 3) and ``alpha`` (H, W) of 8 or 16 bit, upright."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    exif: bytes | None
    texts: tuple[tuple[int, str], ...] = ()

    @property
    def bits(self) -> int:
        """Bits a sample."""
        return self.pixels.dtype.itemsize * 8


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """The array as EXIF says it is to be seen."""
    turns = {3: 2, 6: 3, 8: 1, 7: 1, 5: 3}
    turned = np.rot90(array, turns.get(orientation, 0))
    if orientation in (2, 5, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned[::-1] if orientation == 4 else turned)


def _split(array: np.ndarray, has_alpha: bool) -> tuple[np.ndarray, np.ndarray | None]:
    array = array[..., None] if array.ndim == 2 else array
    return (array[..., :-1], array[..., -1]) if has_alpha else (array, None)


def _without_orientation(exif: Image.Exif) -> bytes | None:
    """The EXIF of the upright picture, without the tags that say how a TIFF's own samples are stored."""
    for tag in (ORIENTATION, *STORAGE):
        exif.pop(tag, None)
    return exif.tobytes() if len(exif) else None


def _is_deep_png(content: bytes) -> bool:
    return content.startswith(PNG_START) and content[24:25] == b"\x10"


def _read_deep_png(content: bytes) -> Picture:
    import imagecodecs

    with Image.open(io.BytesIO(content)) as opened:
        icc, exif = opened.info.get("icc_profile"), opened.getexif()
    orientation = exif.get(ORIENTATION, 1)
    array = imagecodecs.png_decode(content)
    pixels, alpha = _split(_upright(array, orientation), array.ndim == 3 and array.shape[2] in (2, 4))
    return Picture(pixels=pixels, alpha=alpha, icc=icc, exif=_without_orientation(exif))


def _read_deep_tiff(content: bytes) -> Picture | None:
    """A 16-bit TIFF, None where it is not one."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        if page.bitspersample != 16:
            return None
        kind = tifffile.PHOTOMETRIC(page.photometric).name
        if len(file.pages) > 1 or kind not in ("RGB", "MINISBLACK") or page.dtype != np.uint16:
            raise ValueError(f"{len(file.pages)} pages, {kind}, {page.dtype}")
        if page.planarconfig == 2:
            raise ValueError("samples in separate planes")
        more = tuple(map(int, page.extrasamples))
        if len(more) > 1 or ASSOCIATED_ALPHA in more:
            raise ValueError("premultiplied alpha" if len(more) == 1 else f"{len(more)} samples beside the colour")
        array = page.asarray()
        tags = {tag.code: tag.value for tag in page.tags}
    pixels, alpha = _split(_upright(array, tags.get(ORIENTATION, 1)), bool(more))
    texts = tuple((code, str(tags[code])) for code in TIFF_TEXTS if code in tags)
    return Picture(pixels=pixels, alpha=alpha, icc=tags.get(TIFF_ICC), exif=None, texts=texts)


def _read_pillow(content: bytes) -> Picture:
    with Image.open(io.BytesIO(content)) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            raise ValueError("several pictures in one file")
        if opened.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
            raise ValueError(f"colour mode {opened.mode}")
        exif, icc = opened.getexif(), opened.info.get("icc_profile")
        has_alpha = opened.mode in ("LA", "PA", "RGBA") or "transparency" in opened.info
        is_gray = opened.mode in ("1", "L", "LA")
        array = np.asarray(opened.convert(("LA" if has_alpha else "L") if is_gray else "RGBA" if has_alpha else "RGB"))
    pixels, alpha = _split(_upright(array, exif.get(ORIENTATION, 1)), has_alpha)
    return Picture(pixels=pixels, alpha=alpha, icc=icc, exif=_without_orientation(exif))


def read(path: Path) -> Picture:
    """Read a picture, upright as its EXIF says.

    Raises: SourceError.
    """
    try:
        content = path.read_bytes()
        deep = _read_deep_png(content) if _is_deep_png(content) else None
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            deep = _read_deep_tiff(content)
        return deep or _read_pillow(content)
    except OSError as error:
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else error.strerror or str(error)
    except (ValueError, SyntaxError, RuntimeError, MemoryError, Image.DecompressionBombError) as error:
        reason = str(error)
    raise SourceError(
        f"picture must be a whole {', '.join(sorted(set(FORMATS.values())))} of gray or RGB, got {path.name!r}: "
        f"{reason}; convert it first"
    )


def check_format(picture: Picture, target: Path) -> None:
    """Refuse a format that would lose something.

    Raises: ArgumentError.
    """
    format = FORMATS[target.suffix.lower()]
    if picture.bits == 16 and format not in DEEP:
        raise ArgumentError(f"format must hold 16 bit, got {target.name!r}; write .png or .tiff")
    if picture.alpha is not None and format == "JPEG":
        raise ArgumentError(f"format must hold transparency, got {target.name!r}; write .png, .webp, .avif or .tiff")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def _deep_png(array: np.ndarray, picture: Picture) -> bytes:
    """A 16-bit PNG; profile and EXIF stand behind the header, which takes 33 bytes."""
    import imagecodecs

    content = bytes(imagecodecs.png_encode(array))
    extra = _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(picture.icc)) if picture.icc else b""
    extra += _chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")) if picture.exif else b""
    return content[:33] + extra + content[33:]


def _deep_tiff(array: np.ndarray, picture: Picture) -> bytes:
    import tifffile

    target = io.BytesIO()
    tifffile.imwrite(
        target, array, photometric="rgb" if picture.pixels.shape[2] == 3 else "minisblack", metadata=None,
        extrasamples=None if picture.alpha is None else ["unassalpha"], iccprofile=picture.icc, compression="zlib",
        planarconfig="contig", extratags=[(code, "s", 0, text, True) for code, text in picture.texts], software=False,
    )  # fmt: skip
    return target.getvalue()


def encode(picture: Picture, target: Path, quality: int) -> bytes:
    """The content of a picture file."""
    format = FORMATS[target.suffix.lower()]
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[..., None]]
    array = np.concatenate(parts, axis=2)
    if array.shape[2] == 1:
        array = array[..., 0]
    if picture.bits == 16:
        return _deep_png(array, picture) if format == "PNG" else _deep_tiff(array, picture)
    options: dict[str, Any] = {"quality": quality} if format in ("JPEG", "WEBP", "AVIF") else {}
    if format == "JPEG":
        options["subsampling"] = 0
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.exif:
        options["exif"] = picture.exif
    file = io.BytesIO()
    Image.fromarray(array).save(file, format, **options)
    return file.getvalue()


def write(picture: Picture, target: Path, quality: int) -> None:
    """Write a picture by temp file and rename.

    Raises: ArgumentError, DiskError.
    """
    check_format(picture, target)
    write_whole(target, encode(picture, target, quality))
