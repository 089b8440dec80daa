"""The rows that scripts have measured: tables of the documentation are made of them, and so are its plots."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


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
