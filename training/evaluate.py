"""Measure ``fast`` on held-out pictures and clips for docs/figures/fast.md: ``evaluate.py [distance] [edges] ...``.

``--weights FILE`` measures another file, which may become the released one: tables are then printed only, and the sheet
is written into the working folder. The teacher's pictures are kept in ``--cache``; the first run takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "scripts"), str(ROOT / "training")]
import lineage_models  # noqa: E402
import timings  # noqa: E402
from figures import Part, distance, edges, flickers, own_size, strengths, tiles, to_truth  # noqa: E402
from held_out import Fast  # noqa: E402
from report import write_between  # noqa: E402
from sheet import drawn  # noqa: E402

REPORT = ROOT / "docs" / "figures" / "fast.md"
SHEET = "sheet"
FIGURES: Mapping[str, Callable[[Fast], Iterator[Part]]] = {
    "distance": distance,
    "edges": edges,
    "flicker": flickers,
    "truth": to_truth,
    "one": own_size,
    "strength": strengths,
    "tiles": tiles,
    "speed": timings.speed,
}


def main() -> None:
    names = (*FIGURES, SHEET)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="FIGURE", help=f"of {', '.join(names)}; all where none is named")
    parser.add_argument("--weights", type=Path, help="instead of the released file")
    parser.add_argument("--cache", type=Path, default=lineage_models.KEPT, help="folder of the teacher's pictures")
    arguments = parser.parse_args()
    for name in arguments.only:
        if name not in names:
            parser.error(f"FIGURE must be one of {', '.join(names)}, got {name}; leave it out for all")
    lineage_models.KEPT = arguments.cache.resolve()
    fast = Fast(weights=None if arguments.weights is None else str(arguments.weights.resolve()))
    for name in arguments.only or names:
        if name == SHEET:
            path = Path("fast.png") if fast.weights else REPORT.with_suffix(".png")
            drawn(fast).save(path, optimize=True)
            print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)
            continue
        for mark, text in FIGURES[name](fast):
            if fast.weights:
                print(f"\n{mark}\n{text}", flush=True)
            else:
                write_between(REPORT, mark, text)


if __name__ == "__main__":
    main()
