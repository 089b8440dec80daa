"""Areas: every changed cell is in one, at the least cost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vscugan.architectures import ARCHITECTURES
from vscugan.reuse.areas import BorderCost, areas_to_compute, margin_cells_of
from vscugan.reuse.changes import CELL_PX

BORDER = BorderCost(rectangle_px=18, frame_px=18)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32 - 1), st.integers(0, 2),
    st.integers(1, 8), st.integers(1, 8),
)  # fmt: skip
def test_areas_hold_every_changed_cell(
    rows: int, columns: int, share: float, seed: int, margin: int, last_row: int, last_column: int
) -> None:
    cells = np.random.default_rng(seed).random((rows, columns)) < share * share
    size = (rows * CELL_PX - CELL_PX + last_row, columns * CELL_PX - CELL_PX + last_column)
    areas = areas_to_compute(cells, size, border=BORDER, margin_cells=margin, most=0.8)
    if areas is None:
        assert cells.any()
        return
    covered = np.zeros(size, bool)
    for area in areas:
        assert area.area > 0
        assert area.rows.stop <= size[0]
        assert area.columns.stop <= size[1]
        covered[area.index] = True
    for y, x in zip(*np.nonzero(cells), strict=True):
        around = [slice(max(0, (i - margin) * CELL_PX), (i + 1 + margin) * CELL_PX) for i in (y, x)]
        assert covered[around[0], around[1]].all()
    assert bool(areas) == bool(cells.any())


def test_neighbours_are_joined_and_distant_ones_are_not() -> None:
    cells = np.zeros((45, 80), bool)
    cells[2, 2] = cells[2, 5] = cells[40, 70] = True
    areas = areas_to_compute(cells, (360, 640), border=BORDER, margin_cells=0, most=0.8)
    assert areas is not None
    assert [(a.rows.start, a.columns.start, a.rows.stop, a.columns.stop) for a in areas] == [
        (16, 16, 24, 48),
        (320, 560, 328, 568),
    ]


def test_a_halo_that_is_too_wide_never_wins_by_areas() -> None:
    cells = np.zeros((45, 80), bool)
    cells[20, 40] = True
    size = (360, 640)
    for halo_px, wins in ((20, True), (100, True), (400, False)):
        border = BorderCost(rectangle_px=2 * halo_px, frame_px=0)
        assert (areas_to_compute(cells, size, border=border, margin_cells=1, most=0.8) is not None) == wins


def test_a_frame_that_is_no_multiple_of_a_cell_costs_as_its_cells_do() -> None:
    cells = np.zeros((2, 25), bool)
    cells[0, 0] = cells[1, 4] = True
    areas = areas_to_compute(cells, (9, 200), border=BORDER, margin_cells=0, most=0.8)
    assert areas is not None
    assert len(areas) == 2


def test_a_network_that_sees_far_has_a_wide_margin() -> None:
    margins = {name: margin_cells_of(row) for name, row in ARCHITECTURES.items()}
    assert {name for name, cells in margins.items() if cells != 1} == {"rrdb-6b", "rrdb-23b"}
    assert margins["rrdb-6b"] == 4
