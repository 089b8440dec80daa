"""Files that spandrel understands: what is found out about each, and what is refused with which words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.tensors import tensors_of
from support.user_networks import compact, loaded, made_by_spandrel, saved
from support.weight_files import SE, refusal

from vscugan.architectures.parts import Border
from vscugan.cache import cache_folder
from vscugan.errors import ArgumentError
from vscugan.install import how_to_install
from vscugan.models import probe, spandrel_file, weights
from vscugan.models.registry import ModelRow, find
from vscugan.models.weights import load_file, load_released

MEND = "get the file again, or use the released models"
OTHER = "use another file"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_the_file_tells_what_it_holds(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"realesrgan-x4{suffix}"
    found = loaded(path, compact(scale=2))
    architecture = found.architecture
    assert (found.scale, architecture.family, architecture.border) == (2, "RealESRGAN Compact", Border.SAME)
    assert (architecture.multiple, architecture.minimum_px, architecture.halo_px) == (1, 1, 8)
    assert architecture.can_tile
    assert found.note.startswith(
        f"weights: {path.name} is RealESRGAN Compact 8nf 2nc, 2x; tiles see 8 px around themselves, and differ from "
        "the whole by "
    )
    assert float(architecture.shapes.multiply_adds[0]) == 9 * (3 * 8 + 2 * 8 * 8 + 8 * 12)
    assert 12 + 3 <= float(architecture.shapes.widest) <= 64


@pytest.mark.parametrize(
    ("kind", "name", "sizes", "precisions"),
    [
        ("ESRGAN", "ESRGAN 8nf 2nb, 4x", (1, 2, True), ("fp32", "fp16", "bf16")),
        ("SPAN", "SPAN 8nf, 2x", (1, 1, True), ("fp32", "fp16", "bf16")),
        ("SwinIR", "SwinIR small s64w8 64nf 8dim 1conv 1unshuf, 2x", (16, 16, True), ("fp32", "bf16")),
        ("SAFMN", "SAFMN 8dim 1nb, 2x", (8, 8, True), ("fp32", "bf16")),
        ("ATD", "ATD 8dim 16w 256cat, 2x", (1, 8, False), ("fp32", "bf16")),
        ("RCAN", "RCAN 8nf 1nrg 1nrb, 2x", (1, 1, False), ("fp32", "bf16")),
    ],
)
def test_published_architectures(
    kind: str, name: str, sizes: tuple[int, int, bool], precisions: tuple[str, ...], tmp_path: Path
) -> None:
    """Those that work in windows have tiles that begin where windows do; one with means of the frame has none."""
    found = loaded(tmp_path / "x.pth", made_by_spandrel(kind))
    architecture: Any = found.architecture
    assert found.note.startswith(f"weights: x.pth is {name}")
    assert (architecture.multiple, architecture.minimum_px, architecture.can_tile) == sizes
    assert found.note.endswith("; halo= makes tiles all the same") == (not architecture.can_tile)
    network: Any = found.network
    assert network.precisions == precisions


@pytest.mark.parametrize("row", [SE, find(model="realesrgan-animevideo", scale=4, noise=None)], ids=lambda r: r.name)
def test_what_we_know_ourselves_is_read_as_before(
    row: ModelRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, path = load_released(row), tmp_path / "x.safetensors"
    save_file(tensors_of(released), path)
    monkeypatch.setattr("vscugan.models.weights._by_spandrel", pytest.fail)
    found = load_file(str(path))
    assert (found.network, found.note, found.architecture) == (None, "", released.architecture)
    assert all(np.array_equal(found.tensors[name], values) for name, values in released.tensors.items())


def test_it_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, measured = saved(tmp_path / "x.pth", compact()), list[float]()
    measure = spandrel_file.measured_halo

    def counted(*arguments: Any) -> tuple[int, int | None, float]:
        found = measure(*arguments)
        measured.append(found[2])
        return found

    monkeypatch.setattr(spandrel_file, "measured_halo", counted)
    notes = list[str]()
    first, again = (load_file(str(path), notify=notes.append) for _ in range(2))
    assert notes == ["weights: what tiles of this spandrel file must see is measured once, which may take some minutes"]
    assert (again.note, again.architecture.shapes) == (first.note, first.architecture.shapes)
    assert len(measured) == 1
    (kept,) = (cache_folder() / "networks").iterdir()
    whole = kept.read_text(encoding="utf-8")
    for content in (
        "",
        '{"version": 1}',
        '"scale"',
        whole.replace('"multiple": 1', '"multiple": 0'),
        whole[:-9],
        "[" * 99999,
    ):
        kept.write_text(content, encoding="utf-8")
        assert load_file(str(path)).note == first.note
    assert len(measured) == 7


def test_infinite_results_are_seen_in_lists_too(tmp_path: Path) -> None:
    network: Any = loaded(tmp_path / "x.pth", compact()).network
    model, inf = network.run.model, torch.full((1, 3, 16, 16), torch.inf)
    model.forward = lambda x: (x, [inf])
    network.run._call_fn = lambda model, x: model(x)[1][0]
    assert network.run(torch.zeros(1, 3, 8, 8)).isnan().all()


def test_without_spandrel_the_error_says_what_would_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "x.pth", compact())
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert refusal(path) == (
        f"{path} must hold UpCunet, upconv 7, SRVGGNetCompact, RRDBNet or HalfNet, got body.0.bias; use a file of "
        f"Real-CUGAN, waifu2x or Real-ESRGAN, or {how_to_install('spandrel')} for networks of other kinds"
    )


def test_a_model_is_not_named_beside_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", compact())
    with pytest.raises(ArgumentError) as error:
        load_file(str(path), model="se")
    assert str(error.value) == (
        "model=se must be that of the weights, got a file of RealESRGAN Compact; leave model out"
    )


def _changed(change: Callable[[dict[str, Any]], object], **options: Any) -> dict[str, Any]:
    state: dict[str, Any] = compact(**options)
    change(state)
    return state


def _gray() -> dict[str, Any]:
    state = compact(scale=1)
    state["body.0.weight"] = state["body.0.weight"][:, :1].contiguous()
    state["body.6.weight"], state["body.6.bias"] = state["body.6.weight"][:1].contiguous(), torch.zeros(1)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            _changed(lambda s: s.update({"body.0.bias": torch.full((8,), torch.inf)})),
            "{path} must hold finite numbers, got others in body.0.bias; " + MEND,
        ),
        (
            _changed(lambda s: s.update({"body.9999.weight": torch.zeros(1)})),
            "{path} must hold at most 4096 layers, got 'body.9999.weight'; " + MEND,
        ),
        (
            # one value that says it is 1.6 billion of them
            _changed(lambda s: s.update({"body.2.weight": torch.zeros(1).expand(20000, 20000, 2, 2)})),
            "{path} must hold at most 512 MiB, got 6104 MiB; use a file of the weights alone, or the released models",
        ),
        (
            _gray(),
            "{path} must hold a network from 3 channels to 3, got RealESRGAN Compact 8nf 2nc from 1 to 1; " + OTHER,
        ),
        (
            _changed(lambda s: s.update({"body.0.bias": torch.full((8,), 3e38)})),
            "{path} must make finite numbers, got NaN by RealESRGAN Compact 8nf 2nc; " + MEND,
        ),
    ],
)
def test_hostile_state_dicts(state: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(state, path)
    assert refusal(path) == message.format(path=path)


def test_what_spandrel_can_not_build(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", _changed(lambda s: s.pop("body.2.bias")))
    assert refusal(path).startswith(
        f"{path} must hold a network that spandrel can build, got RealESRGAN Compact and RuntimeError: Error(s) in "
        "loading state_dict for SRVGGNetCompact:"
    )


@pytest.mark.parametrize(("limit", "value", "mib"), [("MOST_VALUES_PER_PX", 8, 0), ("MOST_BYTES", 1 << 20, 1)])
def test_a_network_that_would_take_all_memory_is_stopped(
    limit: str, value: int, mib: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spandrel_file, limit, value)
    path = saved(tmp_path / "x.pth", compact())
    assert refusal(path) == (
        f"{path} must hold a network that computes a picture, got RealESRGAN Compact 8nf 2nc and MemoryError: "
        f"more than {mib} MiB; {OTHER}"
    )


def test_the_halo_is_the_smallest_that_is_enough() -> None:
    """A sum over ``reach`` px on each side, of which the outermost count least."""

    def network(reach: int) -> probe.Run:
        kernel = torch.ones(3, 1, 1, 2 * reach + 1) / (2 * reach + 1)

        def run(x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.conv2d(x, kernel, padding=(0, reach), groups=3)

        return run

    assert probe.measured_halo(network(20), 1, 1, 1)[:2] == (1, 24)
    assert probe.measured_halo(network(64), 1, 4, 4)[:2] == (4, 64)
    across = network(20)
    assert probe.measured_halo(lambda x: across(x.mT).mT, 1, 1, 1)[:2] == (1, 24)  # along columns it sees nothing
    multiple, halo_px, difference = probe.measured_halo(network(90), 1, 1, 1)
    assert (multiple, halo_px) == (1, None)
    assert difference > probe.DRAWN_BOUND


def test_importing_and_released_models_load_none_of_it() -> None:
    code = """
import sys
import vscugan
from vscugan.engine.engine import Engine
from vscugan.settings import validate
Engine(validate(device="cpu", backend="torch"))
print(sorted({"spandrel", "torchvision", "onnx", "onnxruntime", "torch.utils.flop_counter"} & set(sys.modules)))
"""
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
