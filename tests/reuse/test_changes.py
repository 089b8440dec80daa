"""Which cells of a frame have changed."""

from __future__ import annotations

import numpy as np
import pytest
from support.motion import cell_means

from vscugan.reuse.changes import changed, differences


@pytest.mark.parametrize("size", [(48, 64), (51, 61), (8, 8), (3, 5)])
def test_differences_are_means_of_cells_in_codes(size: tuple[int, int]) -> None:
    a, b = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    assert np.allclose(differences(a, b), cell_means(a, b), rtol=1e-5)
    a[1, 2, 1], b[1, 2, 1] = -3e38, 3e38
    with np.errstate(all="raise"):  # as warnings would be
        assert changed(differences(a, b), 16)[0, 0]
    b[0, 2, 1] = np.nan
    assert changed(differences(a, b), 16)[0, 0]
