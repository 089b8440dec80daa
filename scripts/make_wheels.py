"""Make the wheels for all platforms and the sdist of the commit that is checked out, check them, put them into dist/.

    scripts/wheels                              all, twice: both runs must give the same bits
    scripts/wheels --once --only win_amd64      quickly, one
    scripts/wheels --wine                       then load the one for Windows by VapourSynth's own, in wine

zig compiles for all platforms, by setup.py. Its copies of the systems' libraries are built when they are first needed
(about 80 s of a core for each platform), and kept in zig's cache.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_wheels import RULES, WheelError, check_equal, check_together, check_wheel

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


def git(*arguments: str) -> str:
    """The output of git in the checkout."""
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def build(folder: Path, kind: str, output: Path, environment: Mapping[str, str]) -> Path:
    """Run Python's standard build; returns the file that it makes.

    Raises: WheelError, with the end of the build's output.
    """
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(output), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if run.returncode:
        lines = (run.stdout + run.stderr).splitlines()[-30:]
        raise WheelError("\n".join([f"the build of the {kind} failed:", *lines]))
    (path,) = output.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


def normalise(sdist: Path, epoch: int) -> None:
    """Write an sdist again: members by name, one date, no owner, and permissions that depend on no umask."""
    content = io.BytesIO()
    with tarfile.open(sdist) as source, tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as target:
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            kept = tarfile.TarInfo(member.name)
            kept.type, kept.size, kept.mtime = member.type, member.size, epoch
            kept.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            target.addfile(kept, source.extractfile(member) if member.isfile() else None)
    sdist.write_bytes(gzip.compress(content.getvalue(), mtime=epoch))


def make(platforms: Sequence[str], folder: Path) -> dict[str, Path]:
    """Make the sdist of HEAD, and from it the platforms' wheels, in an empty folder; returns files by platform."""
    epoch = int(git("log", "-1", "--format=%ct"))
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
    archive = folder / "commit.tar"
    git("archive", f"--output={archive}", "HEAD")
    with tarfile.open(archive) as file:
        file.extractall(folder / "commit", filter="data")
    files = {"sdist": build(folder / "commit", "sdist", folder / "sdist", environment)}
    normalise(files["sdist"], epoch)

    def wheel(platform: str) -> Path:
        with tarfile.open(files["sdist"]) as file:
            file.extractall(folder / platform, filter="data")
        (source,) = (folder / platform).iterdir()
        return build(source, "wheel", folder / f"{platform}-wheel", {**environment, "VSCUGAN_PLATFORM": platform})

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {**files, **dict(zip(platforms, pool.map(wheel, platforms), strict=True))}


def publish(files: Mapping[str, Path]) -> None:
    """Replace what dist/ has of vscugan, and list it."""
    DIST.mkdir(exist_ok=True)
    for old in (*DIST.glob("vscugan-*.whl"), *DIST.glob("vscugan-*.tar.gz")):
        old.unlink()
    for path in files.values():
        content = path.read_bytes()
        (DIST / path.name).write_bytes(content)
        print(f"dist/{path.name}  {len(content)} bytes  sha256 {hashlib.sha256(content).hexdigest()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    platforms = list(RULES)
    parser.add_argument(
        "--only", nargs="+", choices=platforms, default=platforms, metavar="PLATFORM", help=", ".join(platforms)
    )
    parser.add_argument("--once", action="store_true", help="do not build a second time to compare")
    parser.add_argument("--wine", action="store_true", help="load the plugin for Windows by wine")
    arguments = parser.parse_args()
    if arguments.wine and "win_amd64" not in arguments.only:
        parser.error("--wine needs win_amd64 among the platforms; add it to --only")
    os.umask(0o022)  # setuptools writes files' permissions into the wheels
    if git("status", "--porcelain", "--untracked-files=no"):
        print("note: there are changes that are not committed; they are not in the wheels")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory(prefix="another-name-") as second:
        try:
            files = make(arguments.only, Path(first))
            wheels = {platform: files[platform] for platform in arguments.only}
            for platform, path in wheels.items():
                check_wheel(platform, path, files["sdist"])
            check_together(wheels)
            if not arguments.once:
                for name, path in make(arguments.only, Path(second)).items():
                    check_equal(files[name], path)
            if arguments.wine:
                from check_in_wine import check_in_wine

                check_in_wine(wheels["win_amd64"], Path(first))
        except WheelError as error:
            sys.exit(f"scripts/wheels: {error}")
        publish(files)


if __name__ == "__main__":
    main()
