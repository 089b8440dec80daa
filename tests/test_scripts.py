"""The scripts' tables, and what the demo prints."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from typing import Any

import pytest

from vscugan.runtime.backends import pick_backend
from vscugan.runtime.device import CPU

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def test_a_speed_table_is_of_one_cpu_and_a_ratio_of_one_run(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("benchmark")
    amx, avx2 = {"cpu": "Xeon", "instructions": "AMX"}, {"cpu": "EPYC", "instructions": "AVX2"}
    case = {"commit": "c", "threads": "2", "size": "320x180", "scale": "2", "first_s": "1", "peak_MiB": "9"}
    rows = [
        case | machine | {"date": date, "contestant": name, "seconds": seconds, "fps": "1", "psnr_dB": "99.0"}
        for machine, date, name, seconds in (
            (amx, "1", "openvino", "0.4"),
            (amx, "1", "torch", "0.5"),
            (amx, "2", "openvino", "0.3"),  # a newer run without torch
            (avx2, "3", "torch", "0.9"),
            (avx2, "3", "openvino", "0.6"),
        )
    ]
    path = tmp_path / "speed.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    monkeypatch.setattr(benchmark, "ROWS", path)
    machines = {machine: benchmark.table(found)[1:] for machine, found in benchmark.latest().items()}
    assert {machine: [(row[1], row[2], row[4]) for row in found] for machine, found in machines.items()} == {
        "EPYC, AVX2, 2 threads": [("openvino", "0.600", "1.50"), ("torch", "0.900", "1.00")],
        "Xeon, AMX, 2 threads": [("openvino", "0.300", ""), ("torch", "0.500", "1.00")],
    }


def test_the_demo_says_what_computes_and_what_would_be_faster(script: Any) -> None:
    first, *faster = script("encode_demo").what_computes()
    runtime, _ = pick_backend("auto", CPU, "fp32")
    assert first == f"computed by {runtime} on cpu, fp32; faster here:"
    assert faster[0].startswith('  reuse="still": ')
