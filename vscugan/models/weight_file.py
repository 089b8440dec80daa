"""A weight file's bytes: what is none at all, and what is too large, before a reader sees them."""

from __future__ import annotations

import os
from pathlib import Path

from vscugan.errors import WeightsError

#: The largest networks that people upscale with have 170 MB, and a checkpoint holds their weights and the running mean
#: of these. While a file is read, three times as much is in memory.
LARGEST_BYTES = 512 << 20
#: What describes the tensors has 6 KB in a ``.pth``, 5 KB in a ``.param`` and in a safetensors file.
LARGEST_HEADER_BYTES = 1 << 20
RETRY = "get the file again, or use the released models"
WEIGHTS_ALONE = "use a file of the weights alone, or the released models"
#: What a download leaves in a file's place: how it begins, in lower case, what it is, and the way out.
_STAND_INS = (
    (b"version https://git-lfs", "a git-lfs pointer", "fetch the file itself by git lfs pull"),
    (b"<!doctype html", "an HTML page", "download the file itself, not the page about it"),
    (b"<html", "an HTML page", "download the file itself, not the page about it"),
)


def check_size(path: Path, size: int, largest: int = LARGEST_BYTES) -> None:
    """Raise WeightsError for more bytes than a file, or what it unpacks to, can sensibly have."""
    if size > largest:
        raise WeightsError(f"{path} must hold at most {largest >> 20} MiB, got {-(-size >> 20)} MiB; {WEIGHTS_ALONE}")


def read_file(path: Path, largest: int = LARGEST_BYTES) -> bytes:
    """The bytes of a user's weight file, never more than ``largest``.

    Raises: WeightsError where it can't be read, is too large, or is what a failed download leaves.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            check_size(path, size, largest)
            data = file.read(size)
    except OSError as error:
        raise WeightsError(f"{path} must be readable, got {error.strerror}; check its rights") from None
    beginning = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for begins, what, way_out in _STAND_INS:
        if beginning.startswith(begins):
            raise WeightsError(f"{path} must be a weight file, got {what}; {way_out}")
    return data
