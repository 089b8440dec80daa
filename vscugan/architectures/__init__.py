"""The networks, as data: one file for each architecture, one row for each of its scales and input ranges."""

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.upcunet import UPCUNETS

#: By name; weights name theirs.
ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in UPCUNETS}
