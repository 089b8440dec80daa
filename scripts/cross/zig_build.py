"""The plugin for another platform, by zig; setup.py calls it.

Of this machine only the headers of Python and VapourSynth are used. What is missing of the platform is in this folder.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setuptools import Extension

HERE = Path(__file__).resolve().parent
#: platforms by their wheel tags: zig's name, with the oldest system that is served
TARGETS = {
    "win_amd64": "x86_64-windows-gnu",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "manylinux_2_28_x86_64": "x86_64-linux-gnu.2.28",
    "manylinux_2_28_aarch64": "aarch64-linux-gnu.2.28",
}
_ZIG = [sys.executable, "-m", "ziglang"]
_SYSTEMS = {"win": "win32", "macosx": "darwin", "manylinux": "linux"}


def system_of(platform: str) -> str:
    """The platform's sys.platform.

    Raises: SystemExit when zig does not build for it.
    """
    if platform not in TARGETS:
        sys.exit(f"VSCUGAN_PLATFORM must be one of {', '.join(TARGETS)}, got {platform}")
    return _SYSTEMS[platform.partition("_")[0]]


def build_plugin(platform: str, ext: Extension, folder: Path, name: str, spawn: Callable[[list[str]], None]) -> Path:
    """Compile and link setup.py's extension for a platform, in a folder that exists; returns the file of that name."""
    headers = shutil.copytree(sysconfig.get_path("include"), folder / "python", dirs_exist_ok=True)
    shutil.copy(HERE / "pyconfig.h", headers)
    options = ["-shared", "-O2", "-DNDEBUG", "-s", *ext.extra_compile_args, *ext.extra_link_args]
    options += [f"-D{macro}={value}" for macro, value in ext.define_macros]
    options += [f"-I{include}" for include in (*ext.include_dirs, headers)]
    options += [f"-l{library}" for library in ext.libraries]
    inputs, output = list(ext.sources), folder / name
    system = system_of(platform)
    if system == "darwin":
        inputs.append(str(HERE / "operators.cpp"))
        options += ["-fvisibility-global-new-delete=force-hidden", "-D_LIBCPP_OVERRIDABLE_FUNC_VIS="]
        options += ["-Wl,-x", f"-Wl,-install_name,@rpath/{name}"]
    if system == "win32":
        inputs.append(str(folder / "libpython3.a"))
        spawn([*_ZIG, "dlltool", "-m", "i386:x86-64", "-d", str(HERE / "python3.def"), "-l", inputs[-1]])
    spawn([*_ZIG, "c++", "-target", TARGETS[platform], *options, *inputs, "-o", str(output)])
    return output
