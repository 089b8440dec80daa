"""What the results in a folder were computed from, so that a batch goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vscugan.architectures import ARCHITECTURES
from vscugan.files import disk_error, sha256
from vscugan.models.registry import rows
from vscugan.settings import OPTIONS, validate

#: in the output folder: one JSON line for each result
NAME = ".vscugan-image.jsonl"
#: of the settings, those that decide what a picture looks like; of weights the content does, not the path
DECIDING = tuple(
    name
    for name, option in OPTIONS.items()
    if option.on_command_line and not option.of_clips and not option.same_picture and name != "weights"
)

#: and these where tiles may differ from the whole picture
OF_INEXACT_TILES = ("tile", "memory")


def deciding_options(options: dict[str, Any], quality: int) -> dict[str, Any]:
    """The options that decide what a picture looks like, as plain values; weights by their content.

    Raises: ArgumentError for an option that is wrong; OSError for weights that can't be read.
    """
    settings = asdict(validate(**options))
    deciding: dict[str, Any] = {name: settings[name] for name in DECIDING} | {"quality": quality}
    networks = [ARCHITECTURES[row.architecture] for row in rows() if row.model == settings["model"]]
    are_exact = all(network.tiles_are_exact for network in networks)
    if settings["weights"] or settings["halo"] is not None or not are_exact:
        deciding |= {name: settings[name] for name in OF_INEXACT_TILES}
    if settings["weights"]:
        path = Path(settings["weights"])
        pair = {path, *(path.with_suffix(s) for s in (".param", ".bin") if path.suffix in (".param", ".bin"))}
        deciding["weights"] = [sha256(file) for file in sorted(pair) if file.is_file()]
    return deciding


class Results:
    """The results in a folder and below it; several processes may add to one folder.

    Raises: DiskError where the list of them can't be read.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self._path = folder / NAME
        self._options = options
        self._entries: dict[str, dict[str, Any]] = {}
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise disk_error(self._path, error) from error
        for line in lines:
            try:
                entry = json.loads(line)
                self._entries[entry["result"]] = entry
            except (ValueError, KeyError, TypeError):
                continue  # torn by a crash: that result is made again

    def _place(self, target: Path) -> str:
        return target.relative_to(self._path.parent).as_posix()

    def _entry(self, target: Path, source: Path, digest: str) -> dict[str, Any]:
        return {"result": self._place(target), "sha256": digest, "source": sha256(source), "options": self._options}

    def has(self, target: Path, source: Path) -> bool:
        """Whether the file ``target`` is the whole result of this source and these options."""
        entry = self._entries.get(self._place(target))
        try:
            return entry is not None and entry == self._entry(target, source, sha256(target))
        except OSError:
            return False

    def add(self, target: Path, source: Path, content: bytes) -> None:
        """Write down a result that is about to be written; until it is, its hash is that of no file.

        Raises: DiskError where the list can't be written; OSError where the source can't be read.
        """
        entry = self._entry(target, source, hashlib.sha256(content).hexdigest())
        try:
            with open(self._path, "ab") as file:  # the line feed before it ends a line that was torn
                file.write(b"\n" + json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise disk_error(self._path, error) from error
