"""The finished file gets its name."""

from __future__ import annotations

import os
from pathlib import Path

from vscugan.errors import DiskError
from vscugan.files import disk_error


def _link(temp: Path, output: Path) -> None:
    """A second name for a file, which fails where the name is taken; a file system without links gets a look first."""
    try:
        os.link(temp, output)
    except OSError as error:
        if isinstance(error, FileExistsError) or output.exists():
            raise FileExistsError(output) from error
        os.rename(temp, output)


def exists_already(output: Path) -> DiskError:
    """The error for an output that another program made during the encode."""
    return DiskError(
        f"output must not exist yet, got {output.name!r}, which came up meanwhile; "
        "move it away, then run the same command again"
    )


def publish(temp: Path, output: Path, overwrite: bool) -> None:
    """Give the finished file its name, at once and without replacing another one unless asked to.

    Raises: DiskError.
    """
    try:
        if overwrite:
            os.replace(temp, output)
        else:
            _link(temp, output)
            temp.unlink(missing_ok=True)
    except FileExistsError:
        raise exists_already(output) from None
    except OSError as error:
        raise disk_error(output, error) from error
