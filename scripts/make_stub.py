"""Write vscugan/plugin.pyi from the rows in vscugan/settings.py."""

from __future__ import annotations

from pathlib import Path

from vscugan.option_row import Option
from vscugan.settings import ARGUMENTS

TARGET = Path(__file__).parent.parent / "vscugan" / "plugin.pyi"
LINE_LENGTH = 120
STUB = '''\
"""Type of ``core.cugan`` for editors, mypy and pyright: ``cugan: "Plugin" = core.cugan``.

Type checkers know plugins by the stubs that ``vsstubs`` writes; this is narrower, and names what may be chosen.
Without those stubs use ``vscugan.upscale``. vs-mlrt's integers for ``noise`` are for that function, too.
"""

# written by scripts/make_stub.py

from collections.abc import Sequence
from typing import Literal, Protocol

import vapoursynth as vs

class Plugin(Protocol):
    def Upscale(
        self,
{parameters}
    ) -> vs.VideoNode: ...
'''


def annotation(option: Option) -> str:
    """The type of an argument that is given."""
    if option.type == "vnode":
        return "vs.VideoNode"
    if option.choices:
        return f"Literal[{', '.join(f'"{name}"' for name in option.names)}]"
    kind = option.twin_type
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("collections.abc.", "")


def parameter(name: str, option: Option) -> str:
    """An argument as a parameter, in lines that are not too long."""
    line = f"        {name}: {annotation(option)}" + (" | None = None," if name != "clip" else ",")
    if len(line) > LINE_LENGTH:
        line = line.replace("[", "[\n            ").replace(", ", ",\n            ").replace("]", ",\n        ]")
    return line


def stub() -> str:
    """The content of the stub."""
    return STUB.format(parameters="\n".join(parameter(name, option) for name, option in ARGUMENTS.items()))


if __name__ == "__main__":
    TARGET.write_text(stub(), encoding="utf-8")
