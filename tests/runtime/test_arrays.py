"""NumPy's arrays and torch's do the same for the engine and the tiler."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vscugan.runtime.arrays import Arrays, HostArrays
from vscugan.runtime.torch_arrays import TorchArrays
from vscugan.runtime.workspace import Workspace

CPU, FP32 = torch.device("cpu"), torch.float32
#: The same layout of maps each.
PAIRS: list[tuple[Arrays, Arrays]] = [
    (HostArrays(), TorchArrays(CPU, FP32, torch.contiguous_format)),
    (HostArrays(channels_last=True), TorchArrays(CPU, FP32, torch.channels_last)),
]


@pytest.fixture
def x() -> NDArray[np.float32]:
    """(1, 3, 7, 9), with values outside of 0..1."""
    return np.random.default_rng(1).normal(0.5, 1, (1, 3, 7, 9)).astype(np.float32)


def both(x: NDArray[np.float32]) -> Iterator[tuple[Arrays, object]]:
    for arrays in PAIRS[0]:
        yield arrays, arrays.upload(x)


def test_borders_are_reflected_or_repeated(x: NDArray[np.float32]) -> None:
    for reflect in (True, False):
        host, other = (a.to_host(a.pad(y, (2, 0, 3, 1), reflect=reflect)) for a, y in both(x))
        assert host.shape == (1, 3, 11, 11)
        assert np.array_equal(host, other)
        first = x[0, 0, 3 if reflect else 0, 2 if reflect else 0]
        assert host[0, 0, 0, 0] == first


def test_results_are_clipped_and_the_excess_is_added(x: NDArray[np.float32]) -> None:
    written = []
    for arrays, y in both(x):
        for scale in (None, 1):
            planes = np.full((3, 7, 9), np.nan, np.float32)
            over = None if scale is None else arrays.excess(y, scale)[0]
            arrays.new_transfer().write(arrays.copy(y)[0], list(planes), over)
            written.append(planes)
    assert np.array_equal(written[0], x[0].clip(0, 1))
    assert np.allclose(written[1], x[0], atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(written[:2], written[2:], strict=True))


def test_pictures_of_the_host_are_not_copied(x: NDArray[np.float32]) -> None:
    for arrays, _ in both(x):
        assert np.shares_memory(arrays.to_host(arrays.new_transfer().upload(x[0])), x)
        assert np.shares_memory(arrays.to_host(arrays.as_map(arrays.upload(x))), x)
        assert not np.shares_memory(arrays.to_host(arrays.copy(arrays.upload(x))), x)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_found(value: float, x: NDArray[np.float32]) -> None:
    bad = x.copy()
    bad[0, 1, 2, 3] = value
    for (arrays, good), (_, wrong) in zip(both(x), both(bad), strict=True):
        assert bool(arrays.is_finite(good))
        assert not bool(arrays.is_finite(wrong))
        assert not bool(True & arrays.is_finite(wrong))


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_no_warning(x: NDArray[np.float32]) -> None:
    x[0, 0, 0, :3] = np.inf, -np.inf, 3e38
    assert not HostArrays().is_finite(x)
    assert not HostArrays().is_finite(np.full((1, 3, 7, 9), 3e38, np.float32))  # whose sum is none


@pytest.mark.parametrize("pair", PAIRS)
def test_maps_have_the_layout_that_is_asked_for(pair: tuple[Arrays, Arrays]) -> None:
    strides, sums = [], []
    for arrays in pair:
        workspace = Workspace()
        values = arrays.new_map((1, 4, 5, 6), workspace)
        values[...] = arrays.upload(np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6))
        assert arrays.is_dense(values)
        assert not arrays.is_dense(values[:, :, 1:, 1:-1])
        strides.append(arrays.to_host(values).strides)
        sums.append(arrays.to_host(arrays.sums(values[:, :, 1:, 2:])))
        arrays.give(values, workspace)
        again = arrays.new_map((1, 4, 5, 6), workspace)
        assert np.shares_memory(arrays.to_host(again), arrays.to_host(values))
        arrays.give(arrays.upload(np.zeros((1, 1, 1, 1), np.float32)), workspace)  # not ours: let be
    assert strides[0] == strides[1]
    assert np.array_equal(sums[0], sums[1])
    wanted = np.arange(120, dtype=np.float64).reshape(4, 5, 6)[:, 1:, 2:].sum((1, 2))
    assert np.array_equal(sums[0][0], wanted)
