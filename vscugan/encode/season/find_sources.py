"""The files of a season, from what is named on the command line, and where their results go."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vscugan.encode.job.encode_job import WORK_SUFFIX
from vscugan.errors import ArgumentError, SourceError

#: of the files in folders, those that are taken
VIDEO_SUFFIXES = (".mkv", ".mp4", ".m4v", ".webm", ".avi", ".mov", ".ts", ".m2ts", ".mpg", ".mpeg", ".vob", ".ogm",
                  ".wmv", ".flv", ".y4m")  # fmt: skip
LIST_SUFFIX = ".txt"
#: a source, and its place below the output folder, without the ending
Pair = tuple[Path, Path]


def find_sources(names: Sequence[str], output: Path) -> list[Pair]:
    """Each file once, in the order in which they are named; files in folders are sorted.

    A name is a file, a folder, a pattern such as ``*.mkv`` (where the shell has not expanded it), or a ``.txt`` file
    with such names, one a line. What lies in the ``output`` folder is a result and no source.
    Raises: SourceError for a name that gives none, ArgumentError for two results of one name.
    """
    pairs = {path.absolute(): (path.absolute(), place) for path, place in _found(names, output.absolute())}
    places = Counter(place for _, place in pairs.values())
    if twice := [place for place, count in places.items() if count > 1]:
        raise ArgumentError(
            f"results must have names of their own, got {twice[0].name!r} twice; write some into another folder"
        )
    return list(pairs.values())


def _found(names: Sequence[str], output: Path) -> Iterator[Pair]:
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
            inside = [p for p in inside if not _is_ours(p.absolute(), path.absolute(), output)]
            if not inside:
                raise SourceError(f"folder must hold videos, got {path.name!r} with none; name another one")
            yield from ((p, p.relative_to(path).with_suffix("")) for p in inside)
        elif path.is_file() and path.suffix.lower() == LIST_SUFFIX:
            yield from _found(_listed(path), output)
        elif not path.exists() and (matches := sorted(glob.glob(name, recursive=True))):
            yield from _found(matches, output)
        elif not path.exists():
            raise SourceError(f"source must be a video, a folder or a list, got no {path.name!r}; check the name")
        else:
            yield path, Path(path.stem)


def _is_ours(path: Path, folder: Path, output: Path) -> bool:
    """Whether a file in a folder is a result of ours, or a part of one."""
    is_result = output != folder and output in path.parents
    return is_result or any(parent.name.endswith(WORK_SUFFIX) for parent in path.parents)


def _listed(path: Path) -> list[str]:
    """The names in a list, which lie beside it; empty lines and those that begin with # say nothing.

    Raises: SourceError.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"list must be text in UTF-8, got {error} in {path.name!r}; save it so") from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if inner := [name for name in names if name.lower().endswith(LIST_SUFFIX)]:
        raise SourceError(f"list must hold videos and folders, got the list {inner[0]!r}; name it beside {path.name!r}")
    return [str(path.parent / name) for name in names]


def is_season(names: Sequence[str], output: str) -> bool:
    """Whether the output is a folder of results; else it is the result of one file."""
    is_one_file = len(names) == 1 and Path(names[0]).suffix.lower() != LIST_SUFFIX and not Path(names[0]).is_dir()
    is_folder = output.endswith(("/", "\\")) or Path(output).is_dir() or not Path(output).suffix
    return is_folder or not is_one_file or (not Path(names[0]).exists() and glob.has_magic(names[0]))
