"""Every check that needs a GPU, in one command on a machine that has torch and no network; writes one JSON file.

``scripts/gpu_check FOLDER --out FILE``: installs the wheels of a folder that ``scripts/gpu_pack`` has made, beside
python3's own torch and only for this run, and runs one section after the other within ``--budget-s``. Each is a process
of its own, so that one that hangs or crashes costs no other; what it has found until then is kept. ``--installed``
takes the vscugan of this Python instead of a folder. ``--device cpu --small`` rehearses all of it without a GPU in a
minute. ``scripts/gpu_table.py FILE`` makes tables. Exit code 1: a check failed; the file says which.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
BUDGET_S = 540  #: nine minutes by default
#: in the order in which they run: the module, and the seconds that it may take of a whole budget
SECTIONS = {
    "facts": ("gpu_sections", 90),
    "golden": ("gpu_sections", 70),
    "tiles": ("gpu_sections", 60),
    "memory": ("gpu_memory", 80),
    "streams": ("gpu_sections", 40),
    "speed": ("gpu_speed", 300),
    "tests": ("gpu_sections", 90),
    "adapters": ("gpu_sections", 60),
}
#: of a section's time: then it begins nothing new, and comes to an end by itself
USED = 0.85
LOG_LINES = 12


def install(folder: Path, target: Path) -> dict[str, Any]:
    """Check the folder's files by its manifest, and install its wheels into ``target``; returns the manifest.

    Not into a venv: where python3 is one itself, a venv of its own would not see its torch.
    """
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, sha256 in manifest["sha256"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
            raise SystemExit(f"{folder / name} must be what gpu_pack has packed, got another content; pack it again")
    wheels = [folder / name for name in manifest["sha256"] if name.endswith(".whl")]
    options = ["--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, "--target", target, *wheels]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"pip must install the wheels in {folder}, got: {run.stderr.strip()}")
    return manifest


def rows_in(path: Path) -> list[dict[str, Any]]:
    """The last JSON line of each case in a file, less one that was not written to its end."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return list({row["case"]: row for row in rows}.values())


def run_section(name: str, options: list[str], seconds: float, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a section in a process of its own: whether all is right, its rows, and its last words where it is not."""
    start, error = time.monotonic(), None
    with tempfile.TemporaryDirectory() as folder:
        rows_file, log = Path(folder) / "rows", Path(folder) / "log"
        command = [sys.executable, "-P", __file__, *options, "--section", name, str(rows_file), str(seconds * USED)]
        with log.open("wb") as output:
            try:
                code = subprocess.run(
                    command, check=False, stdout=output, stderr=subprocess.STDOUT, timeout=seconds, env=environment
                ).returncode
            except subprocess.TimeoutExpired:
                error = f"it was stopped after {seconds:.0f} s"
            else:
                error = f"it ended with exit code {code}" if code else None
        rows = rows_in(rows_file)
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    right = error is None and bool(rows) and all(row["ok"] for row in rows)
    result: dict[str, Any] = {"ok": right, "seconds": round(time.monotonic() - start, 1), "rows": rows}
    if error is not None:
        result["error"] = error
    return result if right else result | {"log": last}


def work(arguments: argparse.Namespace) -> None:
    """A section's process: its rows go into a file, each as soon as it is there."""
    name, rows_file, seconds = arguments.section
    sys.path += [str(SCRIPTS), str(ROOT / "tests")]
    job = importlib.import_module("gpu_job").Job(
        device=arguments.device,
        small=arguments.small,
        deadline=time.monotonic() + float(seconds),
        folder=arguments.folder,
    )
    module = importlib.import_module(SECTIONS[name][0])
    with open(rows_file, "w", encoding="utf-8") as file:
        for row in getattr(module, name)(job):
            print(json.dumps(row), file=file, flush=True)


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as a whole."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    os.replace(new, path)


def check_all(arguments: argparse.Namespace, start: float) -> dict[str, Any]:
    """Run all sections, and write what is known after each."""
    options = ["--device", arguments.device, *(["--small"] if arguments.small else [])]
    report: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "device": arguments.device,
        "small": arguments.small,
        "budget_s": arguments.budget_s,
        "sections": {},
    }
    with tempfile.TemporaryDirectory() as temporary:
        environment = os.environ | {"VSCUGAN_CACHE": str(Path(temporary) / "cache")}
        if arguments.small:  # whose frames gain nothing from more threads
            environment["OMP_NUM_THREADS"] = "1"
        if arguments.folder is not None:
            target = Path(temporary) / "packages"
            report["commit"] = install(arguments.folder, target)["commit"]
            paths = [str(target), *filter(None, [environment.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(paths)
            options.append(str(arguments.folder))
        for name, (_, limit) in SECTIONS.items():
            left = arguments.budget_s - (time.monotonic() - start)
            seconds = min(limit * arguments.budget_s / BUDGET_S, left)
            result = run_section(name, options, max(seconds, 1), environment)
            report["sections"][name] = result
            write(report, arguments.out)
            wrong = [row["case"] for row in result["rows"] if not row["ok"]]
            said = "; ".join(filter(None, [result.get("error"), f"wrong: {', '.join(wrong)}" if wrong else None]))
            print(f"{name}: {len(result['rows'])} rows in {result['seconds']} s, {said or 'all right'}", flush=True)
    return report


def main() -> int:
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="what gpu_pack has made")
    parser.add_argument("--installed", action="store_true", help="this Python's own vscugan, and no folder")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="default gpu.json")
    parser.add_argument("--device", default="cuda", help="as for Upscale (default cuda)")
    parser.add_argument("--small", action="store_true", help="small frames, and few of them")
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help=f"default {BUDGET_S}")
    parser.add_argument("--section", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.section:
        work(arguments)
        return 0
    if (arguments.folder is None) != arguments.installed:
        parser.error("name the folder that gpu_pack has made, or --installed")
    if importlib.util.find_spec("torch") is None:
        parser.error(f"{sys.executable} must have torch, got none; name another one by PYTHON=/path/to/python3")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = check_all(arguments, start)
    return 0 if all(section["ok"] for section in report["sections"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
