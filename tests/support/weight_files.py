"""Weight files to be refused, and with which words that is done."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vscugan.errors import WeightsError
from vscugan.models.registry import find, released_folder
from vscugan.models.weights import load_file

SE = find(model="se", scale=2, noise="conservative")
PRO = find(model="pro", scale=3, noise="denoise3x")
MEND = "get the file again, or use the released models"
ALONE = "use a file of the weights alone, or the released models"


def refusal(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(WeightsError) as error:
        load_file(str(path))
    return str(error.value)


def pair(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    folder = released_folder(SE)
    return tmp_path / "x.bin", (folder / SE.param).read_bytes(), (folder / SE.file).read_bytes()


def zipped(entries: dict[str, bytes], **changed: int) -> bytes:
    """A zip file whose directory says something else of its last entry."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        for name, value in changed.items():
            setattr(archive.infolist()[-1], name, value)
    return stream.getvalue()


def peak_bytes(call: Callable[[], object]) -> int:
    """What Python, but not torch, allocates at most during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
