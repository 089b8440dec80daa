"""An option as somebody would add it: a row, which stands in ``Settings`` in ``vscugan/settings.py``."""

# no `from __future__ import annotations`: rows stand in annotations, and must not be texts
from dataclasses import dataclass
from typing import Annotated

from vscugan.option_row import Option
from vscugan.option_values import between
from vscugan.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ToySettings(Settings):
    """The settings with one option more."""

    # fmt: off
    sharpen: Annotated[float, Option(
        position=26, type="float", help="0 is off, 1 is the most",
        check=between(0, 1, advice="leave it out for no sharpening"),
    )] = 0.0
    # fmt: on
