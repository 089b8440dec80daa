"""torch's files: what is refused with which words, and that none of them runs code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.tensors import tensors_of
from support.weight_files import ALONE, MEND, SE, peak_bytes, refusal, zipped

from vscugan.models.weights import load_file, load_released


class RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", [None, 2, 4])
def test_a_pickle_that_would_run_code_does_not(protocol: int | None, tmp_path: Path) -> None:
    path, mark = tmp_path / "x.pth", tmp_path / "ran"
    if protocol is None:
        torch.save({"unet1": RunsCode(mark)}, path)
    else:
        path.write_bytes(pickle.dumps({"unet1": RunsCode(mark)}, protocol=protocol))
    assert refusal(path) == (
        f"{path} must hold only tensors, got a pickle that would run '{os.mkdir.__module__}.mkdir'; "
        "do not trust this file"
    )
    assert not mark.exists()


def test_hostile_state_dicts(tmp_path: Path) -> None:
    good = tensors_of(load_released(SE))
    path = tmp_path / "x.pth"
    mend = "use a file of Real-CUGAN, waifu2x or Real-ESRGAN"
    name = "unet2.conv5.bias"
    kinds = f"{path} must hold {name} in fp16, bf16, fp32 or fp64, got"
    plain = f"{path} must hold plain tensors, got one of 'torch._utils._rebuild"
    cases: list[tuple[object, str]] = [
        ([1, 2], f"{path} must hold a state dict, got list; {MEND}"),
        ({}, f"{path} must hold UpCunet, upconv 7, SRVGGNetCompact, RRDBNet or HalfNet, got no tensors; {mend}"),
        ({k: v for k, v in good.items() if k != name}, f"{path} must hold 60 tensors, got none named {name}; {mend}"),
        (good | {"more": torch.zeros(1)}, f"{path} must hold only UpCunet's tensors, got 'more'; {mend}"),
        (good | {name: torch.zeros(65)}, f"{path} must hold {name} of shape (64,), got (65,); {mend}"),
        (good | {name: [0.0] * 64}, f"{path} must hold {name} of shape (64,), got list; {mend}"),
        (good | {5: torch.zeros(1)}, f"{path} must hold tensors by name, got a name of type int; {MEND}"),
        (good | {name: torch.full((64,), torch.nan)}, f"{path} must hold finite numbers, got others in {name}; {mend}"),
        (
            good | {name: torch.full((64,), 1e300, dtype=torch.float64)},
            f"{path} must hold finite numbers, got others in {name}; {mend}",
        ),
        (good | {name: torch.zeros(64, dtype=torch.float8_e4m3fn)}, f"{kinds} float8_e4m3fn; {mend}"),
        (good | {name: torch.zeros(64, dtype=torch.int64)}, f"{kinds} int64; {mend}"),
        (good | {name: torch.ones(64).to_sparse()}, f"{plain}_sparse_tensor'; save dense ones on the CPU"),
        (
            good | {name: torch.ones(64, device="meta")},
            f"{plain}_meta_tensor_no_storage'; save dense ones on the CPU",
        ),
        ([0] * 300_000, f"{path} must hold a network's tensors, got far more; {ALONE}"),
    ]
    for state, message in cases:
        torch.save(state, path)
        assert refusal(path) == message
    other = tmp_path / "x.safetensors"
    save_file(good | {name: torch.zeros(64, dtype=torch.float8_e4m3fn)}, other)
    assert refusal(other) == f"{other} must hold {name} in fp16, bf16, fp32 or fp64, got float8_e4m3fn; {mend}"
    torch.save({"a": Counter()}, path, pickle_protocol=4)
    assert refusal(path) == (
        f"{path} must be a pickle of protocol 2, got 4; save it again by torch.save without pickle_protocol"
    )


def header(content: bytes, size: int | None = None) -> bytes:
    """A safetensors file without tensors."""
    return (len(content) if size is None else size).to_bytes(8, "little") + content


NO_TORCH_FILE = "{path} must be a torch file, got"
DAMAGED = NO_TORCH_FILE + " damaged data; " + MEND
DAMAGED_SAFETENSORS = "{path} must be a safetensors file, got damaged data; " + MEND
HTML = "{path} must be a weight file, got an HTML page; download the file itself, not the page about it"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.pth", b"\n<!DOCTYPE html>\n<html lang=en>", HTML),
        ("x.safetensors", b"\xef\xbb\xbf<html><body>404", HTML),
        (
            "x.pt",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:91c7\nsize 2573648\n",
            "{path} must be a weight file, got a git-lfs pointer; fetch the file itself by git lfs pull",
        ),
        ("x.pth", b"<", f"{NO_TORCH_FILE} data that begins with b'<'; {MEND}"),
        ("x.pth", b"Entry not found", f"{NO_TORCH_FILE} data that begins with b'Entry no'; {MEND}"),
        ("x.pth", b"", f"{NO_TORCH_FILE} an empty file; {MEND}"),
        ("x.pth", b"\x80", DAMAGED),
        ("x.pth", b"\x80garbage" * 20, DAMAGED),
        ("x.pth", b"\x80\x02}.", DAMAGED),
        (
            "x.pth",
            b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s.",  # {((((...)))): 1}, whose hash is a stack overflow
            "{path} must hold tensors by name, got values nested too deep; " + ALONE,
        ),
        (
            "x.pth",
            b"\x80\x04N." + b"\x80\x02N." * 4,
            "{path} must be a pickle of protocol 2, got 4; save it again by torch.save without pickle_protocol",
        ),
        ("x.pth", b"PK\x03\x04", DAMAGED),
        ("x.pth", zipped({"a/data/0": b"0"}), DAMAGED),
        ("x.pth", zipped({"a/data.pkl": b"\x80\x02}."}, compress_type=zipfile.ZIP_LZMA), DAMAGED),
        (
            "x.pth",
            zipped({"a/constants.pkl": b"."}),
            "{path} must hold a state dict, got a TorchScript program; save its state_dict()",
        ),
        ("x.safetensors", b"\x80garbage" * 20, DAMAGED_SAFETENSORS),
        ("x.safetensors", b"", DAMAGED_SAFETENSORS),
        ("x.safetensors", header(b"{}", 1 << 63), DAMAGED_SAFETENSORS),
        ("x.safetensors", header(b"{}" + b" " * (1 << 20)), DAMAGED_SAFETENSORS),
        (
            "x.safetensors",
            header(b'{"__metadata__":null}'),
            "{path} must hold UpCunet, upconv 7, SRVGGNetCompact, RRDBNet or HalfNet, got no tensors; "
            "use a file of Real-CUGAN, waifu2x or Real-ESRGAN",
        ),
    ],
)
def test_files_that_are_something_else(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert refusal(path) == message.format(path=path)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (2 << 30, "{path} must hold at most 512 MiB, got 2049 MiB; " + ALONE),
        (1000, DAMAGED),  # and unpacks to more
    ],
)
def test_a_zip_bomb_is_not_unpacked(says: int, message: str, tmp_path: Path) -> None:
    path, messages = tmp_path / "x.pth", list[str]()
    path.write_bytes(zipped({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(16 << 20)}, file_size=says))
    assert peak_bytes(lambda: messages.append(refusal(path))) < 1 << 20
    assert messages == [message.format(path=path)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_safetensors_are_read_as_torch_reads_them(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {f"module.{name}": tensor.to(dtype) for name, tensor in tensors_of(load_released(SE)).items()}
    save_file(tensors, path)
    found = load_file(str(path)).tensors
    assert all(np.array_equal(found[name.removeprefix("module.")], t.float().numpy()) for name, t in tensors.items())
