"""The files of a season, from what is named on the command line, and where their results go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vscugan.encode.job.encode_job import CERTIFICATE_SUFFIX, WORK_SUFFIX
from vscugan.errors import ArgumentError, SourceError
from vscugan.patterns import fixed_part, is_earlier_result, matches

#: of the files in folders, those that are taken
VIDEO_SUFFIXES = (".mkv", ".mp4", ".m4v", ".webm", ".avi", ".mov", ".ts", ".m2ts", ".mpg", ".mpeg", ".vob", ".ogm",
                  ".wmv", ".flv", ".y4m")  # fmt: skip
LIST_SUFFIX = ".txt"
#: a source, and its place below the output folder, without the ending
Pair = tuple[Path, Path]


def find_sources(names: Sequence[str], output: Path) -> list[Pair]:
    """Each file once, in the order in which they are named; files in folders are sorted.

    A name is a file, a folder, a pattern such as ``*.mkv`` (where the shell has not expanded it), or a ``.txt`` file
    with such names, one a line. Results and work folders of earlier runs are left out.
    Raises: SourceError for a name that gives none, ArgumentError for two results of one name.
    """
    pairs: dict[Path, Pair] = {}
    for path, place in _found(names, output.resolve()):
        pairs.setdefault(path.resolve(), (path.absolute(), place))
    if not pairs:
        raise SourceError(
            "sources must hold videos that are no results, got only results of earlier runs; name a result itself, "
            "and another output folder, to encode it again"
        )
    places = Counter(place for _, place in pairs.values())
    if twice := [place for place, count in places.items() if count > 1]:
        raise ArgumentError(
            f"results must have names of their own, got {twice[0].name!r} twice; write some into another folder"
        )
    return list(pairs.values())


def _found(names: Sequence[str], output: Path) -> Iterator[Pair]:
    for name in names:
        path = Path(name)
        if os.path.isdir(name):
            yield from _in_folder(path, output)
        elif os.path.isfile(name) and path.suffix.lower() == LIST_SUFFIX:
            yield from _found(_listed(path), output)
        elif os.path.exists(name):
            is_result = _is_result(path) and output in path.resolve().parents
            if not is_result and not _is_work(path):
                yield path, Path(path.stem)
        elif found := matches(name, VIDEO_SUFFIXES):
            base = fixed_part(name)
            for match in found:
                if not _is_ours(match, base, output):
                    yield from _found([str(match)], output)
        else:
            raise SourceError(f"source must be a video, a folder or a list, got no {path.name!r}; check the name")


def _in_folder(folder: Path, output: Path) -> Iterator[Pair]:
    """The videos of a folder and of those in it, without hidden ones such as macOS's ``._01.mkv``."""
    videos = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()]
    videos = [p for p in videos if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    if not videos and not _is_work(folder) and output != folder.resolve():
        raise SourceError(f"folder must hold videos, got {folder.name!r} with none; name another one")
    yield from ((p, p.relative_to(folder).with_suffix("")) for p in videos if not _is_ours(p, folder, output))


def _is_ours(path: Path, base: Path, output: Path) -> bool:
    """Whether a path found below ``base`` is a result of ours, or a part of one."""
    return is_earlier_result(path, base, output) or _is_work(path) or _is_result(path)


def _is_result(path: Path) -> bool:
    """Whether a file has a certificate or a work folder beside it."""
    return any(os.path.exists(f"{path}{suffix}") for suffix in (CERTIFICATE_SUFFIX, WORK_SUFFIX))


def _is_work(path: Path) -> bool:
    """Whether a path is a certificate, or a work folder or in one."""
    folders = path.absolute(), *path.absolute().parents
    in_work_folder = any(f.name.endswith(WORK_SUFFIX) and f.name != WORK_SUFFIX for f in folders)
    return in_work_folder or path.name.endswith(CERTIFICATE_SUFFIX)


def _listed(path: Path) -> list[str]:
    """The names in a list, which lie beside it; empty lines and those that begin with # say nothing.

    Raises: SourceError.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"list must be text in UTF-8, got {error} in {path.name!r}; save it so") from error
    names = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not names:
        raise SourceError(f"list must hold names, got {path.name!r} with none; write one a line")
    if inner := [name for name in names if name.lower().endswith(LIST_SUFFIX)]:
        raise SourceError(f"list must hold videos and folders, got the list {inner[0]!r}; name it beside {path.name!r}")
    return [str(path.parent / name) for name in names]


def is_season(names: Sequence[str], output: str) -> bool:
    """Whether the output is a folder of results; else it is the result of one file."""
    if output.endswith(("/", "\\")) or os.path.isdir(output) or not Path(output).suffix or len(names) > 1:
        return True
    name = names[0]
    is_list = Path(name).suffix.lower() == LIST_SUFFIX
    return is_list or os.path.isdir(name) or (not os.path.exists(name) and bool(matches(name, VIDEO_SUFFIXES)))
