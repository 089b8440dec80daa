"""How near two frames are, and how much of what the network adds is in a coded one.

A coded frame differs from the computed one by the encoder's loss, which hides which of two pictures was coded where
only their distance is asked for: a Lanczos enlargement may be nearer to the computed frame (32 dB) than a small file
of the true one. So the computed frame is taken apart into what plain enlargements of the source explain, sharpened or
blurred as they like (a least-squares fit), and the rest, its detail. A coded frame holds a share of that detail: 1
without loss; 0.8 at x264's CRF 30; 0 for any plain enlargement, however sharp; up to 0.27 where sharpening is not
linear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vscugan.errors import ArgumentError

#: of bit-equal frames, whose error is 0
EQUAL_PSNR = 120.0
#: codes of 8 bit, root mean square: below it, a plain enlargement is as good as the network's frame (48 dB)
LEAST_DETAIL_RMS = 1.0
KERNELS = ("Bilinear", "Bicubic", "Lanczos", "Spline36")
BLUR_RADII = (1, 2, 4)
BLOCK_ROWS = 64


def psnr(computed: vs.VideoFrame, coded: vs.VideoFrame) -> float:
    """dB of the plane that differs most.

    Raises: ArgumentError where the frames are of two kinds.
    """
    a, b = computed, coded
    if (a.width, a.height, a.format.id) != (b.width, b.height, b.format.id):
        raise ArgumentError(
            f"result must be of {a.width}x{a.height} px {a.format.name}, got {b.width}x{b.height} px {b.format.name}; "
            "name the file that the certificate is of"
        )
    planes = ((np.asarray(a[p]).astype(np.float64), np.asarray(b[p])) for p in range(a.format.num_planes))
    error = max(float(np.mean((first - second) ** 2)) for first, second in planes)
    most = (1 << a.format.bits_per_sample) - 1
    return EQUAL_PSNR if error == 0 else min(EQUAL_PSNR, float(10 * np.log10(most**2 / error)))


def plain_enlargements(clip: vs.VideoNode, width: int, height: int) -> list[vs.VideoNode]:
    """The luma of a clip at another size by resizing alone, and blurred, so that sums of these are sharpened too."""
    family = clip.format.color_family
    gray = clip.std.SetFieldBased(0)
    gray = gray if family == vs.RGB else gray.std.ShufflePlanes(0, vs.GRAY)
    gray = gray.resize.Point(format=vs.GRAYS, **({"matrix": vs.MATRIX_BT709} if family == vs.RGB else {}))
    large: list[vs.VideoNode] = [getattr(gray.resize, name)(width, height) for name in KERNELS]
    return large + [large[-1].std.BoxBlur(hradius=radius, vradius=radius) for radius in BLUR_RADII]


def detail(computed: vs.VideoFrame, coded: vs.VideoFrame, plain: Sequence[vs.VideoFrame]) -> float | None:
    """The share of the computed frame's detail that the coded one holds, of their luma.

    None where a plain enlargement is as good. The frames are of one size.
    """

    def blocks() -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Rows of the plain frames (k, px), the computed and the coded one (px)."""
        for top in range(0, computed.height, BLOCK_ROWS):
            rows = slice(top, top + BLOCK_ROWS)
            first, second, *others = (
                np.asarray(frame[0])[rows].astype(np.float64).reshape(-1) for frame in (computed, coded, *plain)
            )
            yield np.stack([*others, np.ones_like(first)]), first, second

    size = len(plain) + 1
    products, targets = np.zeros((size, size)), np.zeros(size)
    for basis, first, _ in blocks():
        products += basis @ basis.T
        targets += basis @ first
    weights = np.linalg.lstsq(products, targets, rcond=1e-12)[0]
    shared = whole = 0.0
    for basis, first, second in blocks():
        rest = first - weights @ basis
        shared += float(rest @ second)
        whole += float(rest @ rest)
    code = 1 << computed.format.bits_per_sample - 8
    if whole < (LEAST_DETAIL_RMS * code) ** 2 * computed.width * computed.height:
        return None
    return shared / whole
