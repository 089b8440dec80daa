"""The native build: one plugin file for every Python from 3.12 on, put where VapourSynth loads it by itself.

It is built for this machine by its compiler, or by zig for the platform whose wheel tag VSCUGAN_PLATFORM names.
"""

from __future__ import annotations

import os
import shutil
import sys
from glob import glob
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools < 70.1
    from wheel.bdist_wheel import bdist_wheel

import vapoursynth

sys.path.insert(0, str(Path(__file__).parent))  # an isolated build leaves it out

from scripts.cross import zig_build
from vscugan import __version__, settings

#: the wheel tag of another platform, for which zig builds
PLATFORM = os.environ.get("VSCUGAN_PLATFORM", "")
SYSTEM = zig_build.system_of(PLATFORM) if PLATFORM else sys.platform
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(SYSTEM, ".so")
GNU_OPTIONS = ["-std=c++17", "-fvisibility=hidden", "-Wall", "-Wextra"]
#: What the plugin must know of its arguments; the rest is Python's.
HEADER = """\
// Made by setup.py from the rows in vscugan/settings.py, and the version in vscugan/__init__.py.

#pragma once

#include <string_view>

constexpr int kMajorVersion = {major}, kMinorVersion = {minor};
constexpr const char *kArguments =
{arguments};
// those that may be lists
constexpr std::string_view kListArguments[] = {{{lists}}};
"""


class BuildModules(build_py):
    """Starts anew: modules that were moved or deleted since an earlier build would be installed, too."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "vscugan", ignore_errors=True)
        super().run()


class BuildPlugin(build_ext):
    """Gives the file a plugin's name: VapourSynth does not import it."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split("."))) + SUFFIX

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return ["VapourSynthPluginInit2"]

    def build_extension(self, ext: Extension) -> None:
        folder = Path(self.build_temp) / "generated"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "upscale_arguments.h").write_text(arguments_header(), encoding="utf-8")
        ext.include_dirs.append(str(folder))
        if not PLATFORM:
            super().build_extension(ext)
            return
        output = Path(self.get_ext_fullpath(ext.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(zig_build.build_plugin(PLATFORM, ext, folder, output.name, self.spawn), output)

    def copy_extensions_to_source(self) -> None:
        """An editable installation holds the plugin all the same: VapourSynth looks for it in its own folder only."""
        installed = Path(self.get_finalized_command("install").install_lib)
        for ext in self.extensions:
            target = installed / self.get_ext_filename(ext.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(Path(self.build_lib) / self.get_ext_filename(ext.name), target)

    def get_output_mapping(self) -> dict[str, str]:
        return {} if self.editable_mode else super().get_output_mapping()


class PlatformWheel(bdist_wheel):
    """The plugin uses the stable ABI and no Python module is native: any Python, this platform."""

    def get_tag(self) -> tuple[str, str, str]:
        return ("py3", "none", PLATFORM or super().get_tag()[2])


def arguments_header() -> str:
    lists = (name for name, option in settings.ARGUMENTS.items() if option.type.endswith("[]"))
    parts = settings.SIGNATURE.removesuffix(";").split(";")
    major, minor = map(int, __version__.split(".")[:2])
    return HEADER.format(
        major=major,
        minor=minor,
        arguments="\n".join(f'    "{part};"' for part in parts),
        lists=", ".join(f'"{name}"' for name in lists),
    )


def plugin() -> Extension:
    arguments: dict[str, Any] = {
        "win32": {"extra_compile_args": GNU_OPTIONS if PLATFORM else ["/std:c++17"]},
        # the interpreter's symbols are the host's
        "darwin": {"extra_compile_args": GNU_OPTIONS, "extra_link_args": ["-undefined", "dynamic_lookup"]},
    }.get(
        SYSTEM,
        {
            "extra_compile_args": GNU_OPTIONS,
            "extra_link_args": ["-Wl,--version-script=vscugan/bridge/exports.map"],
            "libraries": ["dl"],  # dlopen is in a library of its own before glibc 2.34
        },
    )
    return Extension(
        "vapoursynth.plugins.vscugan",
        sorted(glob("vscugan/bridge/*.cpp")),
        depends=[
            *glob("vscugan/bridge/*.h"),
            *glob("vscugan/option_*.py"),
            *("vscugan/settings.py", "vscugan/__init__.py", "setup.py"),
        ],
        include_dirs=[vapoursynth.get_include()],
        define_macros=[("Py_LIMITED_API", "0x030C0000")],
        py_limited_api=True,
        language="c++",
        **arguments,
    )


COMMANDS = {"build_py": BuildModules, "build_ext": BuildPlugin, "bdist_wheel": PlatformWheel}
setup(ext_modules=[plugin()], cmdclass=COMMANDS)
