"""The sheet: crops at 1:1, a row for each system and a column for each subject, as a PNG for each degradation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from lineage_pictures import eight_bit  # noqa: E402
from quality import Picture  # noqa: E402

CELL_HEIGHT, CELL_WIDTH = 92, 144
HEAD_PX, LABEL_PX, GAP_PX = 20, 96, 2
PAPER, INK, TEXT_PX = (255, 255, 255), (0, 0, 0), 12


def drawn_sheet(columns: Sequence[str], rows: Mapping[tuple[str, str], Sequence[Picture]]) -> Image.Image:
    """Rows by their labels of two lines, each of pictures of one size, under the columns' names."""
    _, height, width = next(iter(rows.values()))[0].shape
    step_down, step_right = height + GAP_PX, width + GAP_PX
    sheet = Image.new("RGB", (LABEL_PX + len(columns) * step_right, HEAD_PX + len(rows) * step_down), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_PX)
    for column, name in enumerate(columns):
        draw.text((LABEL_PX + column * step_right + 2, 3), name, INK, font)
    for row, (label, pictures) in enumerate(rows.items()):
        top = HEAD_PX + row * step_down
        draw.multiline_text((2, top + 2), "\n".join(label), INK, font)
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(eight_bit(picture)), (LABEL_PX + column * step_right, top))
    return sheet


def cell(picture: Picture, top: int, left: int) -> Picture:
    """What the sheet shows of a picture."""
    return picture[:, top : top + CELL_HEIGHT, left : left + CELL_WIDTH]
