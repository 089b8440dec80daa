"""The networks, as data: one file for each architecture, one row for each of its scales and input ranges."""

from vscugan.architectures.architecture import Architecture
from vscugan.architectures.halfnet import HALFNETS
from vscugan.architectures.rrdb import RRDBS
from vscugan.architectures.srvgg import SRVGGS
from vscugan.architectures.upconv7 import UPCONV7
from vscugan.architectures.upcunet import UPCUNETS

#: By name; weights name theirs.
ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in (*UPCUNETS, UPCONV7, *SRVGGS, *RRDBS, *HALFNETS)}
