"""What must be true of the wheels: of each plugin, of each wheel, and of all of them together."""

from __future__ import annotations

import email.parser
import re
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from plugin_facts import PluginFacts, read_plugin

ENTRY_POINT = "VapourSynthPluginInit2"
LARGEST_PLUGIN_BYTES = 400_000
GLIBC = (2, 28)


@dataclass(frozen=True, kw_only=True)
class PlatformRule:
    """What a platform's plugin must be. A library's name that ends with ``*`` allows all that begin like it."""

    format: str
    machine: str
    suffix: str
    libraries: tuple[str, ...]
    oldest_system: str = ""


_WINDOWS = ("python3.dll", "KERNEL32.dll", "api-ms-win-crt-*")
_MACOS = ("/usr/lib/libSystem.B.dylib", "/usr/lib/libc++.1.dylib")
#: of those that manylinux_2_28 allows; libc++ is inside the plugin
_LINUX = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")
RULES = {
    "win_amd64": PlatformRule(format="PE", machine="AMD64", suffix=".dll", libraries=_WINDOWS),
    "macosx_11_0_arm64": PlatformRule(
        format="MACHO", machine="ARM64", suffix=".dylib", libraries=_MACOS, oldest_system="11.0"
    ),
    "macosx_11_0_x86_64": PlatformRule(
        format="MACHO", machine="X86_64", suffix=".dylib", libraries=_MACOS, oldest_system="11.0"
    ),
    "manylinux_2_28_x86_64": PlatformRule(format="ELF", machine="X86_64", suffix=".so", libraries=_LINUX),
    "manylinux_2_28_aarch64": PlatformRule(format="ELF", machine="AARCH64", suffix=".so", libraries=_LINUX),
}


class WheelError(Exception):
    """A wheel or an sdist that must not be published: what must be, what was found, and what to do."""


def python_symbols() -> frozenset[str]:
    """Those of the stable ABI that the plugin may use: python3.dll's import library has no others."""
    lines = (Path(__file__).resolve().parent / "cross" / "python3.def").read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines[2:])


def check_plugin(platform: str, facts: PluginFacts) -> None:
    """Check a plugin against its platform's rule.

    Raises: WheelError, which names everything that differs.
    """
    rule = RULES[platform]
    foreign = sorted(name for name in facts.libraries if not _allowed(name, rule.libraries))
    unknown = sorted(facts.host_symbols - python_symbols())
    too_new = sorted(name for name in facts.versions if _glibc(name) > GLIBC)
    faults = [
        f"{what} must be {must}, got {got}"
        for what, must, got in (
            ("format", rule.format, facts.format),
            ("machine", rule.machine, facts.machine),
            ("exports", ENTRY_POINT, ", ".join(sorted(facts.exports)) or "none"),
            ("the oldest macOS", rule.oldest_system, facts.oldest_system),
        )
        if must != got
    ]
    faults += [f"libraries must be of {', '.join(rule.libraries)}, got {', '.join(foreign)}"] if foreign else []
    faults += [f"symbols of Python must be in python3.def, got {', '.join(unknown)}"] if unknown else []
    faults += [f"symbol versions must be GLIBC_2.28 or older, got {', '.join(too_new)}"] if too_new else []
    faults += [] if facts.is_stripped else ["it must be stripped, got debug sections or names of local symbols"]
    if facts.size_bytes > LARGEST_PLUGIN_BYTES:
        faults.append(f"it must have at most {LARGEST_PLUGIN_BYTES} bytes, got {facts.size_bytes}")
    if faults:
        raise WheelError(f"{platform}: {'; '.join(faults)}; correct setup.py, or the rules in scripts/check_wheels.py")


def _allowed(name: str, patterns: Iterable[str]) -> bool:
    return any(name.startswith(row[:-1]) if row.endswith("*") else name == row for row in patterns)


def _glibc(version: str) -> tuple[int, ...]:
    """The numbers of a symbol version of glibc; what is of another library is newer than all."""
    found = re.fullmatch(r"GLIBC_(\d+(?:\.\d+)*)", version)
    return tuple(map(int, found[1].split("."))) if found else (1000,)


def check_wheel(platform: str, wheel: Path, sdist: Path) -> None:
    """Check a wheel's tags, its plugin, and that it has all modules of the sdist.

    Raises: WheelError.
    """
    rule = RULES[platform]
    if not wheel.name.endswith(f"-py3-none-{platform}.whl"):
        raise WheelError(f"a wheel's name must end with -py3-none-{platform}.whl, got {wheel.name}")
    members = wheel_members(wheel)
    tags = _metadata(members, "WHEEL")
    for field, must in (("Tag", f"py3-none-{platform}"), ("Root-Is-Purelib", "false")):
        if (got := tags.get_all(field)) != [must]:
            raise WheelError(f"{wheel.name}: {field} must be {must}, got {got}")
    plugin = f"vapoursynth/plugins/vscugan{rule.suffix}"
    names = [name for name in members if not name.startswith(("vscugan/", "vscugan-"))]
    if names != [plugin]:
        got_names = ", ".join(names) or "nothing"
        raise WheelError(f"{wheel.name}: beside vscugan/ there must be {plugin} alone, got {got_names}")
    modules = {name for name in sdist_names(sdist) if name.startswith("vscugan/") and name.endswith(".py")}
    if missing := sorted(modules - members.keys()):
        raise WheelError(f"{wheel.name}: must have {', '.join(missing)}; add the package to pyproject.toml")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PurePosixPath(plugin).name
        path.write_bytes(members[plugin])
        check_plugin(platform, read_plugin(path))


def check_together(wheels: Mapping[str, Path]) -> None:
    """Check that all wheels have the same Python files and metadata, byte for byte.

    Raises: WheelError.
    """
    first: tuple[str, dict[str, bytes]] | None = None
    for wheel in wheels.values():
        members = wheel_members(wheel)
        common = {
            name: content
            for name, content in members.items()
            if not name.startswith("vapoursynth/plugins/")
            and not name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))
        }
        if first is None:
            first = wheel.name, common
        elif different := differing(first[1], common):
            names = ", ".join(different)
            raise WheelError(f"{first[0]} and {wheel.name} must have the same files, these differ: {names}")


def check_equal(first: Path, second: Path) -> None:
    """Check that two runs made the same file, bit for bit.

    Raises: WheelError, which names the members that differ.
    """
    if first.read_bytes() == second.read_bytes():
        return
    read = wheel_members if first.suffix == ".whl" else sdist_members
    names = differing(read(first), read(second)) or ["the order, dates or permissions of the members"]
    raise WheelError(f"{first.name} must be the same in two runs, these differ: {', '.join(names)}")


def differing(first: Mapping[str, bytes], second: Mapping[str, bytes]) -> list[str]:
    """The names whose contents differ or that only one of both has."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def wheel_members(path: Path) -> dict[str, bytes]:
    """The files in a wheel by name."""
    with ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def sdist_members(path: Path) -> dict[str, bytes]:
    """The files in an sdist by name, without the folder that has them all."""
    members = {}
    with tarfile.open(path) as file:
        for member in file:
            if content := file.extractfile(member):
                members[member.name.partition("/")[2]] = content.read()
    return members


def sdist_names(path: Path) -> list[str]:
    """The names of the files in an sdist, without the folder that has them all."""
    with tarfile.open(path) as file:
        return [member.name.partition("/")[2] for member in file if member.isfile()]


def _metadata(members: Mapping[str, bytes], name: str) -> email.message.Message:
    content = next(content for path, content in members.items() if path.endswith(f".dist-info/{name}"))
    return email.parser.BytesParser().parsebytes(content)
