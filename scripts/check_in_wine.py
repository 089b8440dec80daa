"""The wheel for Windows as far as wine goes: VapourSynth's own library loads the plugin in a host without Python.

There is no Python for Windows here. A python3.dll of our own, which only says that no interpreter runs, lets the plugin
load; its pictures, and all that Python does, are for a Windows machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from check_wheels import WheelError, python_symbols

HERE = Path(__file__).resolve().parent
ZIG = [sys.executable, "-m", "ziglang"]
TARGET = ["-target", "x86_64-windows-gnu", "-O2", "-s"]
REFUSAL = "the host must run Python, got none; use python or vspipe"


def check_in_wine(wheel: Path, folder: Path) -> None:
    """Load the plugin of a wheel under wine, with and without a python3.dll, and print what was found.

    Raises: WheelError when it does not load, does not register cugan.Upscale, or does not refuse to run.
    """
    if shutil.which("wine") is None:
        raise WheelError("--wine needs wine, found none; run apt-get install wine64 wine")
    environment = {**os.environ, "WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all"}
    try:
        _check(wheel, folder, environment)
    finally:  # the server of this prefix alone; it would go on writing there
        subprocess.run(["wineserver", "-k", "-w"], env=environment, check=False)


def _check(wheel: Path, folder: Path, environment: dict[str, str]) -> None:
    host = _host(folder / "wine")
    with zipfile.ZipFile(wheel) as file:
        plugin = host / "vscugan.dll"
        plugin.write_bytes(file.read("vapoursynth/plugins/vscugan.dll"))
    alone = _run(host, environment)
    _stand_in_python(host)
    found = _run(host, environment)
    version = subprocess.run(["wine", "--version"], capture_output=True, text=True, check=True)
    print(f"{version.stdout.splitlines()[0]}, VapourSynth {found['VapourSynth']}")
    print(f"without a python3.dll: LoadPlugin: {alone['LoadPlugin']}")
    print(f"with one that runs no Python: cugan.Upscale is registered; Upscale: {found.get('Upscale')}")
    if found["LoadPlugin"] != "ok" or not found["cugan.Upscale"].startswith("clip:vnode;"):
        raise WheelError(f"the plugin must register cugan.Upscale, got {found}")
    if found["Upscale"] != f"cugan.Upscale: {REFUSAL}":
        raise WheelError(f"Upscale must say {REFUSAL!r}, got {found['Upscale']!r}")
    if alone["LoadPlugin"] == "ok":
        raise WheelError("the plugin must not load without a python3.dll, but did; look for another one in wine")


def _host(folder: Path) -> Path:
    """A folder with VapourSynth's library for Windows and the host that loads it."""
    folder.mkdir()
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--platform=win_amd64", "--dest", folder, "vapoursynth"], check=True)
    (package,) = folder.glob("*.whl")
    with zipfile.ZipFile(package) as file:
        for name in file.namelist():
            if re.fullmatch(r"vapoursynth/(libvapoursynth\w*\.dll|include/\w+\.h)", name):
                (folder / Path(name).name).write_bytes(file.read(name))
    source, program = HERE / "cross" / "plugin_host.c", folder / "host.exe"
    subprocess.run([*ZIG, "cc", *TARGET, source, f"-I{folder}", "-o", program], check=True)
    return folder


def _stand_in_python(folder: Path) -> None:
    """A python3.dll that has the symbols that the plugin uses, each a function that returns 0."""
    source = folder / "python3.c"
    lines = (f"__declspec(dllexport) int {name}(void) {{ return 0; }}" for name in sorted(python_symbols()))
    source.write_text("\n".join(lines), encoding="utf-8")
    subprocess.run([*ZIG, "cc", *TARGET, "-shared", source, "-o", folder / "python3.dll"], check=True)


def _run(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """What the host prints, by the words before the colon."""
    command = ["wine", "host.exe", "libvapoursynth.dll", "vscugan.dll"]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300, errors="replace"
    )
    rows = dict(line.strip().split(": ", 1) for line in run.stdout.splitlines() if ": " in line)
    if "LoadPlugin" not in rows:
        got = f"exit code {run.returncode}: {run.stdout}{run.stderr[-2000:]}"
        raise WheelError(f"VapourSynth must load under wine, got {got}")
    return rows
