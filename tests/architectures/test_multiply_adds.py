"""The multiply-adds that follow from our layers against those that follow from the released ``.param`` files."""

from __future__ import annotations

from pathlib import Path

import pytest

from vscugan.architectures import ARCHITECTURES
from vscugan.models.registry import ModelRow, released_folder, rows

#: of a px of the result, summed up from the layers' weights by hand
PER_OUTPUT_PX = {
    "upcunet-2x": 192_504,
    "upconv7": 137_964,
    "srvgg-4x": 38_700,
    "rrdb-6b": 356_652,
    "upcunet-1x": 269_376,
    "halfnet-2x": 23_976,
    "halfnet-1x": 88_128,
}


def multiply_adds_of(param: Path, size: tuple[int, int]) -> int:
    """Those of every convolution in an ncnn file, for an input of ``size`` (height, width in px)."""
    sizes: dict[str, tuple[int, ...]] = {}
    count = 0
    for line in param.read_text(encoding="ascii").splitlines()[2:]:
        kind, _, reads, writes, *words = line.split()
        bottoms, tops = words[: int(reads)], words[int(reads) : int(reads) + int(writes)]
        values = dict(word.split("=") for word in words[int(reads) + int(writes) :])
        kernel, stride, padding = (int(float(values.get(key, 0))) for key in ("1", "3", "4"))
        written = sizes[bottoms[0]] if bottoms else size
        if kind == "Convolution":
            written = tuple((px + 2 * padding - kernel) // (stride or 1) + 1 for px in written)
            count += int(values["6"]) * written[0] * written[1]
        elif kind == "Deconvolution":
            count += int(values["6"]) * written[0] * written[1]
            written = tuple((px - 1) * stride - 2 * padding + kernel for px in written)
        elif kind == "Interp":
            written = tuple(int(px * float(values["1"])) for px in written)
        elif kind == "PixelShuffle":
            written = tuple(px * int(values["0"]) for px in written)
        elif kind == "Crop":
            cropped = int(values["-23309"].split(",")[1]) if len(bottoms) == 1 else 0
            written = sizes[bottoms[1]] if len(bottoms) > 1 else tuple(px - 2 * cropped for px in written)
        sizes |= dict.fromkeys(tops, written)
    return count


@pytest.mark.parametrize("row", [row for row in rows() if row.param], ids=lambda row: row.name)
@pytest.mark.parametrize("size", [(540, 960), (20, 36)])
def test_a_frames_multiply_adds(row: ModelRow, size: tuple[int, int]) -> None:
    architecture = ARCHITECTURES[row.architecture]
    padded = size[0] + 2 * architecture.pad_px, size[1] + 2 * architecture.pad_px
    expected = multiply_adds_of(released_folder(row) / row.param, padded)
    # what the files leave to their resizer is a layer without weights here, once for each px of the picture
    fixed = [layer for layer in architecture.layers if layer.fixed is not None]
    expected += sum(layer.inputs * layer.outputs * layer.kernel**2 for layer in fixed) * size[0] * size[1]
    assert architecture.shapes.frame_multiply_adds(*size) == expected


@pytest.mark.parametrize("name", PER_OUTPUT_PX)
def test_multiply_adds_of_a_px_of_the_result(name: str) -> None:
    row = ARCHITECTURES[name]
    assert sum(row.shapes.multiply_adds) == PER_OUTPUT_PX[name] * row.scale**2


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_without_the_padding_it_is_the_count_of_each_px(name: str) -> None:
    row = ARCHITECTURES[name]
    height, width = 1000 * row.multiple, 3000 * row.multiple
    each = float(sum(row.shapes.multiply_adds))
    whole = row.shapes.frame_multiply_adds(height, width) / (height * width)
    assert whole == each if not row.pad_px else each < whole < 1.06 * each
