"""Runtimes that reach a GPU by themselves, each tested on the first one that it reaches, software among them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.gpu_runtime import GpuRuntime

from vscugan.engine.device_choice import gpus
from vscugan.runtime import BACKENDS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--need-gpu", action="store_true", help="a runtime that reaches no GPU fails, and is not skipped")


@pytest.fixture(scope="session", params=["ncnn", "webgpu"])
def gpu(request: pytest.FixtureRequest) -> GpuRuntime:
    name: str = request.param
    if name not in BACKENDS:
        pytest.skip(f"there is no runtime of the name {name}")
    for n, each in enumerate(gpus()):
        if name in each.reached_by:
            return GpuRuntime(name, f"gpu:{n}", each.adapter)
    give_up: Callable[[str], None] = pytest.skip
    if request.config.getoption("--need-gpu", default=False):
        give_up = pytest.fail
    give_up(f"{name} reaches no GPU; scripts/test_gpu makes a place where it does")
    raise AssertionError
