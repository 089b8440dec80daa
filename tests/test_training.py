"""The folder ``training/``: pictures, the teacher's files, a trainer that goes on, and its file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

TRAINING = Path(__file__).parent.parent / "training"
PX, LEVELS = 64, 5


@pytest.fixture(scope="module")
def part() -> Any:
    """A module of the folder, by its name."""
    sys.path.insert(0, str(TRAINING))
    yield importlib.import_module
    sys.path.remove(str(TRAINING))


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with backgrounds and figures."""
    folder = tmp_path_factory.mktemp("art")
    rng = np.random.default_rng(17)
    for k in range(40):
        pixels = rng.integers(0, 256, (8, 8, 4), np.uint8)
        mode = "RGB" if k % 2 else "RGBA"
        image = Image.fromarray(pixels).convert(mode).resize((200, 180), Image.Resampling.BICUBIC)
        image.save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def cached(part: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher's file whose teacher repeats pixels."""
    folder = tmp_path_factory.mktemp("cached")
    rng = np.random.default_rng(17)
    sources = rng.integers(0, 256, (20, PX, PX, 3), np.uint8)
    results = sources.repeat(2, 1).repeat(2, 2)
    levels = np.repeat(np.arange(LEVELS, dtype=np.uint8), 4)
    np.savez(folder / "00000.npz", sources=sources, results=results, levels=levels, related=np.arange(10) % 2 == 0)
    return folder


def test_art_is_held_out_by_its_name(part: Any, art: Path) -> None:
    scenes = part("scenes")
    used, held = (scenes.materials(art, held_out) for held_out in (False, True))
    names = {p.name for p in (*used.figures, *used.backgrounds)}
    assert len(names) + len(held.figures) + len(held.backgrounds) == 40
    assert names.isdisjoint(p.name for p in (*held.figures, *held.backgrounds))
    assert all(int(p.stem) % 2 for p in used.backgrounds)
    assert not any(int(p.stem) % 2 for p in used.figures)


def test_pairs_follow_from_their_seed_and_are_frames_of_one_scene(part: Any, art: Path) -> None:
    teacher, scenes = part("teacher"), part("scenes")
    material = scenes.materials(art, False)

    def made(seed: int) -> list[list[NDArray[np.uint8]]]:
        source = teacher.pairs(material, np.random.default_rng(seed))
        return [next(source) for _ in range(3)]

    first, again, other = made(1), made(1), made(2)
    for pair, same, different in zip(first, again, other, strict=True):
        assert all(frame.shape == (teacher.PX, teacher.PX, 3) and frame.dtype == np.uint8 for frame in pair)
        assert all(np.array_equal(a, b) for a, b in zip(pair, same, strict=True))
        assert not np.array_equal(pair[0], different[0])
        a, b = (frame.astype(float) for frame in pair)
        assert np.abs(a - b).mean() < np.abs(a - different[0]).mean()


def test_codecs_keep_what_is_seen(part: Any) -> None:
    degradations = part("degradations")
    y, x = np.mgrid[:PX, :PX]
    frame = np.stack([2 * x + 40, y + 60, 200 - x], -1).astype(np.uint8)
    for codec in ("libx264", "libx265"):
        frames = degradations.through_codec([frame] * 4, codec, 20, "veryfast")
        assert len(frames) == 4
        assert np.abs(frames[1].astype(int) - frame).mean() < 4
    assert np.abs(degradations.half_chroma(frame).astype(int) - frame).mean() < 3


def test_the_teacher_goes_on_where_it_was(
    part: Any, art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = part("teacher")
    monkeypatch.setattr(teacher, "PER_FILE", 4)
    monkeypatch.setattr(teacher, "Teacher", lambda *_: lambda source, level: source.repeat(2, 0).repeat(2, 1))
    monkeypatch.setattr(sys, "argv", ["teacher.py", str(art), str(tmp_path), "--files", "2"])
    teacher.main()
    files = sorted(tmp_path.iterdir())
    whole = [file.read_bytes() for file in files]
    files[1].unlink()
    kept = files[0].stat().st_mtime_ns
    teacher.main()
    assert [file.read_bytes() for file in files] == whole
    assert files[0].stat().st_mtime_ns == kept
    with np.load(files[0]) as file:
        assert file["sources"].shape == (4, teacher.PX, teacher.PX, 3)
        assert file["results"].shape == (4, 2 * teacher.PX, 2 * teacher.PX, 3)


def test_networks_begin_as_bicubic_upscaling(part: Any) -> None:
    families = part("families")
    x = torch.nn.functional.avg_pool2d(torch.rand(1, 3, PX, PX, generator=torch.Generator().manual_seed(0)), 5, 1, 2)
    for family in families.FAMILIES.values():
        torch.manual_seed(0)
        network = family()
        torch.nn.init.zeros_(network.last.weight.view(network.last.shape)[:, 12:])
        network.features = lambda x, level: torch.zeros(())
        with torch.no_grad():
            made = network(x, 1)
        wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic")  # its a is -0.75, ours -0.5
        assert (made - wanted)[..., 8:-8, 8:-8].abs().max() < 0.02


def test_training_lowers_the_loss_goes_on_and_ends_in_a_file(
    part: Any, cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, families, export = part("train"), part("families"), part("export")
    monkeypatch.setitem(families.FAMILIES, "plain", lambda: families.Plain(16, 2))
    monkeypatch.setattr(train, "APART_FROM", 8)
    state, file = tmp_path / "state.pt", tmp_path / "fast.safetensors"

    def run(module: Any, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()

    options = [str(cached), str(state), "--patch", "32", "--rate", "3e-3", "--evaluate-every", "4"]
    run(train, *options, "--steps", "8", "--held-out", str(cached))
    run(train, *options, "--steps", "16", "--held-out", str(cached))
    saved = torch.load(state)
    assert saved["step"] == 16
    assert [entry["step"] for entry in saved["log"]] == [4, 8, 12, 16]
    assert saved["log"][-1]["mean"] > saved["log"][0]["mean"]

    run(export, str(state), str(file))
    tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
    network = families.Plain(16, 2)
    network.load_state_dict(saved["smooth"])
    for level in range(LEVELS):
        weight, bias = network.middle[0].of_level(level)
        assert torch.equal(tensors["middle.0.weight"][level], weight.half().float())
        assert torch.equal(tensors["middle.0.bias"][level], bias.half().float())
    x = torch.rand(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    twice, once = (
        torch.nn.functional.pixel_shuffle(
            torch.nn.functional.conv2d(x, tensors[f"{name}.weight"][3], tensors[f"{name}.bias"][3], padding=1), factor
        )
        for name, factor in (("last", 4), ("last_1x", 2))
    )
    assert (torch.nn.functional.avg_pool2d(twice, 2) - once).abs().max() < 1e-3


def test_colours_become_the_teachers_and_all_levels_must_be_there(part: Any, cached: Path, tmp_path: Path) -> None:
    families, export = part("families"), part("export")
    torch.manual_seed(0)
    network = families.Plain(16, 2)
    with torch.no_grad():
        network.last.bias += 0.05
    first, second = (export.centre(network, cached) for _ in range(2))
    assert all(max(map(abs, second[level])) < max(map(abs, shifts)) / 4 for level, shifts in first.items())
    with pytest.raises(SystemExit, match=f"{tmp_path} must hold samples of all levels, got none of conservative"):
        export.centre(network, tmp_path)
