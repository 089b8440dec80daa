"""``vscugan image``: pictures in files and folders."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from vscugan.cli.options import add_upscale, given_upscale, guarded, named_files
from vscugan.errors import ArgumentError, CuganError, DiskError, SourceError

HELP = "upscale pictures; alpha, 16 bit, ICC profile and EXIF are kept"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("sources", nargs="+", metavar="source", help="pictures, and folders of them")
    parser.add_argument("-o", "--output", required=True, help="a folder, or a file where there is one source")
    parser.add_argument("--to", choices=sorted(e[1:] for e in ENDINGS), help="format of the results in a folder")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG, WebP and AVIF, 1 to 100 (default 95)")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    add_upscale(parser, of_clips=False)


def found(sources: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Each picture, and its place below the output folder.

    Raises: SourceError.
    """
    for name in map(Path, sources):
        if name.is_dir():
            inside = sorted(p for p in name.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
            if not inside:
                raise SourceError(f"folder must hold pictures, got {name.name!r} with none; name another one")
            yield from ((path, path.relative_to(name)) for path in inside)
        elif not name.exists():
            raise SourceError(f"source must be a picture or a folder, got {name.name!r}, which is not there")
        else:
            yield name, Path(name.name)


def targets(arguments: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Each picture and where its result goes, checked before anything is computed.

    Raises: CuganError.
    """
    pairs = list(found(arguments.sources))
    output = Path(arguments.output)
    is_file = output.suffix.lower() in ENDINGS and not output.is_dir()
    if is_file and len(pairs) > 1:
        raise ArgumentError(f"output must be a folder for {len(pairs)} pictures, got {output.name!r}; name a folder")
    made = []
    for source, place in pairs:
        target = output if is_file else output / place
        if arguments.to and not is_file:
            target = target.with_suffix(f".{arguments.to}")
        if target.suffix.lower() not in ENDINGS:
            raise ArgumentError(f"result must end in {', '.join(ENDINGS)}, got {target.name!r}; say --to png")
        if target.exists() and (not arguments.overwrite or target.samefile(source)):
            raise ArgumentError(f"result must not exist yet, got {target.name!r}; name another folder or --overwrite")
        made.append((source, target))
    if len({target for _, target in made}) < len(made):
        raise ArgumentError("results must have names of their own, got one name twice; name another folder for some")
    return made


def _image(arguments: argparse.Namespace) -> int:
    options = given_upscale(arguments)
    if not 1 <= arguments.quality <= 100:
        raise ArgumentError(f"quality must be 1 to 100, got {arguments.quality}; leave it out for 95")
    pairs = targets(arguments)
    from vscugan.image import files
    from vscugan.image.upscaler import Upscaler

    upscaler = Upscaler(options)
    code = 0
    for source, target in pairs:
        try:
            picture = files.read(source)
            files.check_format(picture, target)
            result = upscaler.upscale(picture)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DiskError(f"folder must be writable, got {error.strerror}; name another output") from error
            files.write(result, target, arguments.quality)
        except CuganError as error:  # the others are still wanted
            code = code or error.exit_code
            print(f"vscugan image: {error}", file=sys.stderr)
            continue
        height, width = result.pixels.shape[:2]
        print(f"{os.fspath(target)!r}: {width}x{height}, {result.bits} bit", flush=True)
    return code


def run(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Run the command on its words; returns the exit code."""
    arguments = parser.parse_args(named_files(words, ("-o", "--output", "--weights")))
    return guarded("image", lambda: _image(arguments))
