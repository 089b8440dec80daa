"""ncnn's files: what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.weight_files import ALONE, MEND, pair, refusal

from vscugan.models.registry import find, released_folder
from vscugan.models.weights import load_file


@pytest.mark.parametrize("cut", [0, 3, 4, 1000, 100_001, -1])
def test_a_truncated_bin(cut: int, tmp_path: Path) -> None:
    path, param, data = pair(tmp_path)
    path.with_suffix(".param").write_bytes(param)
    path.write_bytes(data[:cut])
    assert refusal(path) == f"{path} must be whole, got an end after {len(data[:cut])} bytes; {MEND}"


def test_hostile_ncnn_files(tmp_path: Path) -> None:
    path, param, data = pair(tmp_path)
    text = param.decode()
    cases = {
        (b"hello\n", data): f"{path.with_suffix('.param')} must begin with 7767517, got 'hello'; {MEND}",
        (b"\xff\xfe", data): f"{path.with_suffix('.param')} must be text, got binary data; {MEND}",
        (b"7767517\n", data): (
                f"{path} must hold 30 (UpCunet), 31 (UpCunet), 7 (upconv 7), 18 (SRVGGNetCompact), 351 (RRDBNet) or "
                f"96 (RRDBNet) layers, got 0; {MEND}"
            ),
        (text.replace("6=864 ", "6=x ", 1).encode(), data): (
            f"{path.with_suffix('.param')} must be an ncnn param file, got a bad line 4; {MEND}"
        ),
        (text.replace("6=864 ", "6=865 ", 1).encode(), data): (
            f"{path.with_suffix('.param')} must have layers that add up, got others in line 4; {MEND}"
        ),
        (text.replace(" 1=3 ", " 1=-3 ", 1).encode(), data): (
            f"{path.with_suffix('.param')} must have layers that add up, got others in line 4; {MEND}"
        ),
        (param + b"\n" * (1 << 20), data): f"{path.with_suffix('.param')} must hold at most 1 MiB, got 2 MiB; {ALONE}",
        (text.replace("6=864 ", "6=864000000000 ", 1).encode(), data): (
            f"{path} must be whole, got an end after {len(data)} bytes; {MEND}"
        ),
        (param, b"abcd" + data[4:]): (
            f"{path} must hold fp16 or fp32 weights, got tag 0x64636261 at unet1.conv1.conv.0; {MEND}"
        ),
        (param, data + b"more"): f"{path} must end after {len(data)} bytes, got {len(data) + 4}; {MEND}",
    }
    for (bad_param, bad_data), message in cases.items():
        path.with_suffix(".param").write_bytes(bad_param)
        path.write_bytes(bad_data)
        assert refusal(path) == message


@pytest.mark.parametrize(("scale", "factor"), [(2, "5.000000e-01"), (3, "0.75"), (4, None)])
def test_a_changed_param_still_tells_animevideos_scale(scale: int, factor: str | None, tmp_path: Path) -> None:
    """Its three scales are the same weights: what differs is how the result is resized."""
    row = find(model="realesrgan-animevideo", scale=scale, noise=None)
    text = (released_folder(row) / row.param).read_text()
    path = tmp_path / "x.bin"
    path.write_bytes((released_folder(row) / row.file).read_bytes())
    path.with_suffix(".param").write_text(text.replace("7.500000e-01", factor or "") + "\n")
    weights = load_file(str(path))
    assert (weights.architecture.name, weights.scale) == (f"srvgg-{scale}x", scale)
    if factor is not None:
        path.with_suffix(".param").write_text(text.replace(f"={factor}", "=1.250000e-01").replace("=7.5", "=1.25"))
        assert refusal(path).startswith(f"{path.with_suffix('.param')} must make 4x, 2x or 3x, got ")
