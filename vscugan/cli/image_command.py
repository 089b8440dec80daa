"""``vscugan image``: upscale picture files and folders of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vscugan.cli.guard import interruption, print_error, raise_swallowed
from vscugan.cli.options import add_upscale, given_upscale
from vscugan.cli.parser import Parser
from vscugan.errors import ArgumentError, ConflictError, CuganError, DiskError, FrameError, SourceError
from vscugan.files import write_whole
from vscugan.patterns import fixed_part, is_earlier_result, matches

if TYPE_CHECKING:
    from vscugan.image.picture_files import Picture
    from vscugan.image.results import Results
    from vscugan.image.upscaler import Upscaler

HELP = "upscale picture files; alpha, 16 bit, ICC profile and EXIF are kept"
#: a picture, and its place below the output folder or its result
Pair = tuple[Path, Path]
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff")
DEFAULT_QUALITY = 95


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("sources", nargs="+", metavar="source", help="picture files, folders of them, patterns")
    parser.add_argument("-o", "--output", required=True, help="a folder, or a file if there is only one source")
    parser.add_argument("--to", choices=sorted(e[1:] for e in ENDINGS), help="format of the results in a folder")
    quality = f"quality of JPEG, WebP and AVIF, 1 to 100 (default {DEFAULT_QUALITY})"
    parser.add_argument("--quality", type=int, default=DEFAULT_QUALITY, help=quality)
    parser.add_argument("--overwrite", action="store_true", help="replace results of other sources or options")
    add_upscale(parser, of_clips=False)


def _find_pictures(sources: Sequence[str | Path], output: Path) -> tuple[list[Pair], list[CuganError]]:
    """Each picture with its place below the output folder, and an error for each name that gives none."""
    pairs: list[Pair] = []
    errors: list[CuganError] = []
    for source in sources:
        name = Path(source)
        if os.path.isdir(source):
            inside = sorted(p for p in name.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
            inside = _without_results(inside, name, output)
            pairs += [(path, path.relative_to(name)) for path in inside]
            if not inside:
                errors.append(SourceError(f"folder must hold pictures, got {name.name!r} with none; name another one"))
        elif os.path.exists(source):
            pairs.append((name, Path(name.name)))
        elif found := _without_results(matches(str(name), ENDINGS), fixed_part(str(name)), output):
            more, wrong = _find_pictures(found, output)
            pairs, errors = pairs + more, errors + wrong
        else:
            missing = f"source must be a picture or a folder, got {name.name!r}, which is not there; check the name"
            errors.append(SourceError(missing))
    return pairs, errors


def _without_results(paths: list[Path], base: Path, output: Path) -> list[Path]:
    """Those of the paths found below ``base`` that are no results of the run before."""
    folder = output.resolve()
    return [path for path in paths if not is_earlier_result(path, base, folder)] if folder.is_dir() else paths


def _is_file(output: Path) -> bool:
    """Whether the output names one picture and not a folder."""
    return output.suffix.lower() in ENDINGS and not output.is_dir()


def _targets(arguments: argparse.Namespace, pairs: list[Pair], errors: list[CuganError]) -> list[Pair]:
    """Each picture and where its result goes, checked before anything is computed; bad names are added to ``errors``.

    Raises: ArgumentError.
    """
    output = Path(arguments.output)
    is_file = _is_file(output)
    if is_file and len(pairs) > 1:
        raise ArgumentError(f"output must be a folder for {len(pairs)} pictures, got {output.name!r}; name a folder")
    targets = []
    for source, place in pairs:
        target = output if is_file else output / place
        if arguments.to and not is_file:
            target = target.with_suffix(f".{arguments.to}")
        if target.suffix.lower() in ENDINGS:
            targets.append((source, target))
        else:
            ending = f"result must end in {', '.join(ENDINGS)}, got {target.name!r}; say --to png"
            errors.append(ArgumentError(ending))
    if len({target for _, target in targets}) < len(targets):
        raise ArgumentError("results must have names of their own, got one name twice; name another folder for some")
    return targets


def _missing(pairs: list[Pair], results: Results | None, overwrite: bool) -> list[Pair]:
    """The pairs whose results are still to be computed.

    Raises: ConflictError for files that stand in the way.
    """
    missing, foreign = [], []
    for source, target in pairs:
        if target.exists():
            if target.samefile(source):
                raise ConflictError(f"result must not be its source, got {target.name!r}; name another folder")
            if results and results.has(target, source):
                continue
            foreign.append(target.name)
        missing.append((source, target))
    if foreign and not overwrite:
        allowed = "not exist yet, or be of the same source and options" if results else "not exist yet"
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ConflictError(f"result must {allowed}, got {foreign[0]!r}{more}; say --overwrite, or name another output")
    return missing


def _write(result: Picture, source: Path, target: Path, quality: int, results: Results | None) -> None:
    """Write a result, after the record of its source and options.

    Raises: ArgumentError, DiskError.
    """
    from vscugan.image.picture_files import encode

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"folder must be writable, got {error.strerror}; name another output") from error
    content = encode(result, target, quality)
    if results:
        results.add(target, source, content)
    write_whole(target, content)


def _upscale(
    missing: list[Pair], upscaler: Upscaler, quality: int, results: Results | None, errors: list[CuganError]
) -> int:
    """Write the results; a picture that fails is reported, and the next one follows. Returns the first error's code."""
    from vscugan.image.picture_files import check_format, read

    code = 0

    def report(error: CuganError) -> None:
        nonlocal code
        raise_swallowed()
        code = code or error.exit_code
        print_error("image", str(error))

    for error in errors:
        report(error)
    for source, target in missing:
        try:
            picture = read(source)
            check_format(picture, target)
            result = upscaler.upscale(picture)
            _write(result, source, target, quality, results)
        except FrameError as error:
            report(FrameError(f"{source.name!r}: {error}"))
        except CuganError as error:
            report(error)
        else:
            height, width = result.pixels.shape[:2]
            print(f"{os.fspath(target)!r}: {width}x{height}, {result.bits} bit", flush=True)
    return code


def _image(arguments: argparse.Namespace) -> int:
    options = given_upscale(arguments)
    if not 1 <= arguments.quality <= 100:
        raise ArgumentError(f"quality must be 1 to 100, got {arguments.quality}; leave it out for 95")
    from vscugan.image.results import Results, deciding_options
    from vscugan.image.upscaler import Upscaler

    output = Path(arguments.output)
    found, errors = _find_pictures(arguments.sources, output)
    pairs = _targets(arguments, found, errors)
    results = None if _is_file(output) else Results(output, deciding_options(options, arguments.quality))
    missing = _missing(pairs, results, arguments.overwrite)
    if len(missing) < len(pairs):
        print(f"{len(pairs) - len(missing)} of {len(pairs)} results are there already, of the same source and options")
    try:
        return _upscale(missing, Upscaler(options), arguments.quality, results, errors)
    except KeyboardInterrupt as error:
        text, code = interruption(error)
        print_error("image", f"{text}; run the same command again to go on" if results else text)
        return code


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    return _image(parser.parse(argv, ("-o", "--output", "--weights")))
