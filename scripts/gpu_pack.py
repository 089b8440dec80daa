"""Pack a folder for gpu_check on a machine that has a GPU, Python with torch and numpy, and no network.

``scripts/gpu_pack [FOLDER]``: the wheel of this checkout, wheels of what it needs besides torch and numpy, the scripts
and the art that the checks work on, and manifest.json with the sha256 of each file. ``FOLDER/scripts/gpu_check FOLDER``
runs without a checkout, too. Pack on a system that is not newer than the machine's: the plugin is compiled here.
``--with NAME ...`` packs what else that machine lacks, such as ncnn.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: the machine has them
GIVEN = ("torch", "numpy")
#: runtimes for CPUs, which are no part of the checks, and what only they need
OF_CPUS = ("openvino", "onnx", "ncnn")
#: manylinux tags up to this version of glibc, by its second number; pip takes a tag by its name only
OLDEST_GLIBC, NEWEST_GLIBC = 17, 28
#: what gpu_check runs; it finds them from its own place, here as there
FILES = (
    "scripts/gpu_check", "scripts/gpu_check.py", "scripts/gpu_job.py", "scripts/gpu_memory.py",
    "scripts/gpu_sections.py", "scripts/gpu_speed.py", "scripts/gpu_table.py", "scripts/report.py",
    "tests/support/__init__.py", "tests/support/plain_upcunet.py", "tests/support/plain_halfnet.py",
    "tests/data/LICENSE",
)  # fmt: skip
LIMIT_MB = 60  #: so that a package too many is seen; it has 51 MB
MANIFEST = "manifest.json"


def name_of(requirement: str) -> str:
    """``onnx`` of ``onnx>=1.15; sys_platform != 'darwin'``."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def needed(dependencies: Sequence[str], more: Sequence[str]) -> list[str]:
    """The requirements to pack: of vscugan's own those that the machine does not have, and ``more``."""
    own = [text.partition(";")[0].strip() for text in dependencies]
    return [text for text in own if name_of(text) not in (*GIVEN, *OF_CPUS)] + list(more)


def download_options(python: str) -> list[str]:
    """pip's options for wheels of another Python on x86-64 Linux."""
    tags = [f"manylinux_2_{n}_x86_64" for n in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
    platforms = [part for tag in (*tags, "manylinux2014_x86_64") for part in ("--platform", tag)]
    return ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms]


def pip(*arguments: str | Path) -> None:
    """Run this Python's pip; raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def fill(folder: Path, python: str, more: Sequence[str]) -> None:
    """Put wheels, scripts and art into an empty folder."""
    import numpy as np
    from gpu_job import ART, PICTURE
    from PIL import Image

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wheels = folder / "wheels"
    pip("wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    requirements = needed(project["dependencies"], more)
    pip("download", "--no-deps", *download_options(python), "--dest", wheels, *requirements)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    np.save(folder / ART, np.asarray(Image.open(PICTURE).convert("RGB")))


def write_manifest(folder: Path, python: str) -> int:
    """Write what the folder holds, and return its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    manifest = {
        "commit": commit,
        "python": python,
        "glibc": platform.libc_ver()[1],
        "sha256": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return sum(path.stat().st_size for path in (*files, folder / MANIFEST))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / "gpu", help="default dist/gpu")
    parser.add_argument("--python", default="3.12", help="of the machine (default 3.12)")
    parser.add_argument("--with", nargs="+", default=[], dest="more", metavar="NAME", help="further packages")
    parser.add_argument("--limit-mb", type=float, default=LIMIT_MB, help=f"default {LIMIT_MB}")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    sys.path.append(str(ROOT / "scripts"))
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        parser.error(f"{folder} must be empty or packed before, got other files; name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill(folder, arguments.python, arguments.more)
    size = write_manifest(folder, arguments.python) / 1e6
    for path in sorted(folder.rglob("*"), key=lambda path: -path.stat().st_size):
        if path.is_file() and path.stat().st_size > 1e5:
            print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.relative_to(folder)}")
    print(f"{size:6.1f} MB in {folder}")
    if size > arguments.limit_mb:
        sys.exit(f"the folder must have at most {arguments.limit_mb:g} MB, got {size:.1f}; pack less by --with")


if __name__ == "__main__":
    main()
