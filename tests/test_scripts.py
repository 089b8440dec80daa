"""The scripts' tables and plots, what the demo prints, and what the sheets and figures of models are made with."""

from __future__ import annotations

import csv
import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vscugan.runtime.backends import pick_backend
from vscugan.runtime.device import CPU

SCRIPTS = Path(__file__).parent.parent / "scripts"
DOCS = SCRIPTS.parent / "docs"


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


def drawn() -> Any:
    """(3, 48, 64) in 0..1: slopes with an edge and a line across."""
    y, x = np.mgrid[:48, :64].astype(np.float32)
    picture = np.stack([x / 64, y / 48, (x + y) / 112])
    picture[:, :, 40:] *= 0.4
    picture[:, 20:22] = 0.05
    return np.asarray(picture, np.float32)


def test_sources_are_made_worse_in_the_same_way_each_time(script: Any) -> None:
    pictures = script("lineage_pictures")
    for worse in (*pictures.DEGRADATIONS.values(), pictures.very_low, pictures.drawn_bokeh):
        first, again = worse(drawn()), worse(drawn())
        assert first.dtype == np.float32
        assert first.shape == (3, 48, 64)
        np.testing.assert_array_equal(first, again)
        assert np.array_equal(first, drawn()) == (worse is pictures.DEGRADATIONS["clean"])


def test_what_is_measured_of_models(script: Any) -> None:
    measures, models, pictures = (script(f"lineage_{name}") for name in ("figures", "models", "pictures"))
    assert measures.detail(drawn(), drawn()) == pytest.approx((1, 1))
    assert measures.detail(0.5 * drawn(), drawn()) == pytest.approx((0.5, 1))
    assert measures.steepness(pictures.drawn_bokeh(drawn()), drawn()) < 0.5
    flat = np.full((3, 48, 64), 0.5, np.float32)
    steps = np.zeros((48, 64), np.float32)
    steps[:, ::2] = 2 / 255  # fine: 1 code around its mean
    steps[:24] += 4 / 255  # coarse: 2 codes
    assert measures.noise_left(flat + steps, flat) == pytest.approx((2, 1), abs=1e-3)
    assert [value for *_, value in measures.kept_noise(models.System())] == [1, 1, 1]


def test_a_result_is_computed_once(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = script("lineage_models")
    monkeypatch.setattr(models, "KEPT", tmp_path)
    assert [system.noise for system in models.systems("waifu2x", "realesrgan-anime")] == [
        *("no-denoise", "denoise0x", "denoise1x", "denoise2x", "denoise3x"),
        None,
    ]
    system = models.System(model="realesrgan-animevideo")
    result = system.picture(drawn())
    (path,) = tmp_path.iterdir()
    np.save(path, np.load(path) // 2)
    assert result.shape == (3, 96, 128)
    np.testing.assert_allclose(system.picture(drawn()), result / 2, atol=1e-4)


def test_a_sheet_shows_pixels_as_they_are(script: Any) -> None:
    sheets = script("lineage_sheet")
    picture = np.random.default_rng(0).random((3, 200, 300)).astype(np.float32)
    shown = sheets.cell(picture, 30, 50)
    sheet = np.asarray(sheets.drawn_sheet(["a"], {("model", "level"): [shown]}))
    cell = sheet[sheets.HEAD_PX :, sheets.LABEL_PX :][: sheets.CELL_HEIGHT, : sheets.CELL_WIDTH]
    np.testing.assert_array_equal(cell, np.rint(255 * shown.transpose(1, 2, 0)).astype(np.uint8))


@pytest.mark.parametrize(
    ("page", "name"),
    [("figures/speed.md", "benchmark"), ("figures/lineage.md", "lineage"), ("explanation/reuse.md", "reuse_report")],
)
def test_tables_are_made_of_the_rows(script: Any, page: str, name: str) -> None:
    report, module = script("report"), script(name)
    if name == "benchmark":
        tables = [module.table(rows) for rows in module.latest().values()]
    else:
        rows = module.read_figures() if name == "lineage" else module.read_records(module.RECORDS)
        tables = list(module.tables(rows).values())
    text = (DOCS / page).read_text(encoding="utf-8")
    for table in tables:
        assert report.markdown(table) in text


def test_models_are_timed_in_one_run(script: Any) -> None:
    report, lineage = script("report"), script("lineage")
    rows = report.read_records(lineage.SPEEDS)
    assert [row["model"] for row in rows] == list(lineage.MEASURED)
    assert len({(row["date"], report.machine_of(row), row["runtime"], row["size"]) for row in rows}) == 1
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_plots_are_drawn_of_the_rows_and_the_same_each_time(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the extra benchmark is not installed")
    plots = script("plots")
    monkeypatch.setattr("sys.argv", ["plots.py"])
    drawn = []
    for turn in range(2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        monkeypatch.setattr(plots, "FOLDER", folder)
        plots.main()
        drawn.append({path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {path.name for path in (DOCS / "figures").glob("*.svg")}
    for picture in drawn[0].values():
        assert re.search("<title>.+</title>", picture)
        assert "<text" in picture


def test_a_panel_of_speed_is_of_one_day(script: Any) -> None:
    pytest.importorskip("matplotlib", reason="the extra benchmark is not installed")
    rows = [
        {"date": date, "contestant": name, "fps": fps}
        for date, name, fps in (
            ("2026-01-01 10:00", "openvino", "1"),
            ("2026-01-01 11:00", "openvino", "2"),
            ("2026-01-01 11:00", "torch", "3"),
            ("2026-01-02 10:00", "openvino", "4"),
            ("2026-01-02 10:00", "raw OpenVINO", "5"),
        )
    ]
    assert script("plots").of_one_day(rows) == {"openvino": 2, "torch": 3}
