"""What scripts/wheels asserts of wheels: each fault is named, and the plugin that is built here is read right."""

from __future__ import annotations

import dataclasses
import gzip
import importlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import setuptools
import vapoursynth as vs

pytest.importorskip("lief", reason="lief, which reads native files, is not installed")
SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def good(script: Any, platform: str) -> Any:
    """What the plugin for a platform should say of itself."""
    rule = script("check_wheels").RULES[platform]
    return script("plugin_facts").PluginFacts(
        format=rule.format,
        machine=rule.machine,
        exports=frozenset({"VapourSynthPluginInit2"}),
        libraries=frozenset({rule.libraries[0]}),
        host_symbols=frozenset({"PyDict_New"}),
        oldest_system=rule.oldest_system,
        is_stripped=True,
        size_bytes=300_000,
    )


def test_plugins_as_they_should_be_pass(script: Any) -> None:
    checks = script("check_wheels")
    for platform in checks.RULES:
        checks.check_plugin(platform, good(script, platform))


@pytest.mark.parametrize(
    ("platform", "changes", "fault"),
    [
        ("win_amd64", {"exports": frozenset({"_Znwm"})}, "exports must be VapourSynthPluginInit2, got _Znwm"),
        ("win_amd64", {"exports": frozenset()}, "exports must be VapourSynthPluginInit2, got none"),
        (
            "win_amd64",
            {"libraries": frozenset({"api-ms-win-crt-heap-l1-1-0.dll", "python312.dll"})},
            "libraries must be of python3.dll, KERNEL32.dll, api-ms-win-crt-*, got python312.dll",
        ),
        ("win_amd64", {"machine": "I386"}, "machine must be AMD64, got I386"),
        ("macosx_11_0_arm64", {"format": "ELF"}, "format must be MACHO, got ELF"),
        ("macosx_11_0_arm64", {"oldest_system": "13.0"}, "the oldest macOS must be 11.0, got 13.0"),
        (
            "manylinux_2_28_x86_64",
            {"versions": frozenset({"GLIBC_2.28", "GLIBC_2.34", "GLIBCXX_3.4"})},
            "symbol versions must be GLIBC_2.28 or older, got GLIBCXX_3.4, GLIBC_2.34",
        ),
        (
            "manylinux_2_28_x86_64",
            {"host_symbols": frozenset({"_PyLong_Sign"})},
            "symbols of Python must be in python3.def, got _PyLong_Sign",
        ),
        (
            "manylinux_2_28_aarch64",
            {"is_stripped": False},
            "it must be stripped, got debug sections or names of local symbols",
        ),
        ("manylinux_2_28_aarch64", {"size_bytes": 3_000_000}, "it must have at most 400000 bytes, got 3000000"),
    ],
)
def test_each_fault_of_a_plugin_is_named(script: Any, platform: str, changes: dict[str, Any], fault: str) -> None:
    checks = script("check_wheels")
    with pytest.raises(checks.WheelError) as error:
        checks.check_plugin(platform, dataclasses.replace(good(script, platform), **changes))
    assert str(error.value) == f"{platform}: {fault}; correct setup.py, or the rules in scripts/check_wheels.py"


def test_the_plugin_that_is_installed_exports_one_function_and_uses_the_listed_symbols(script: Any) -> None:
    """So python3.def, from which Windows' import library is made, has what the sources use, and no more."""
    path = next(path for path in Path(vs.get_plugin_dir()).iterdir() if path.stem == "vscugan")
    facts = script("plugin_facts").read_plugin(path)
    of_python = {name for name in facts.host_symbols if name.startswith(("Py", "_Py"))}
    assert of_python == script("check_wheels").python_symbols()
    if facts.format == "ELF":
        assert facts.exports == {"VapourSynthPluginInit2"}
        assert "libc.so.6" in facts.libraries


def test_a_file_for_windows_is_read(script: Any) -> None:
    path = Path(setuptools.__file__).parent / "cli-64.exe"
    if not path.exists():
        pytest.skip("this setuptools has no launcher for Windows")
    facts = script("plugin_facts").read_plugin(path)
    assert (facts.format, facts.machine, facts.exports) == ("PE", "AMD64", frozenset())
    assert "KERNEL32.dll" in facts.libraries


def test_a_file_for_macos_is_read(script: Any, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="zig, which builds for macOS, is not installed")
    source, path = tmp_path / "a.c", tmp_path / "a.dylib"
    source.write_text("int PyLong_AsLong(void);\nint VapourSynthPluginInit2(void) { return PyLong_AsLong(); }\n")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos.11.0", "-O2", "-s", "-Wl,-x", "-shared"]
    subprocess.run([*zig, "-undefined", "dynamic_lookup", str(source), "-o", str(path)], check=True)
    facts = script("plugin_facts").read_plugin(path)
    assert facts == dataclasses.replace(
        good(script, "macosx_11_0_arm64"),
        libraries=frozenset({"/usr/lib/libSystem.B.dylib"}),
        host_symbols=frozenset({"PyLong_AsLong"}),
        size_bytes=path.stat().st_size,
    )


def test_what_is_no_native_file_is_refused(script: Any, tmp_path: Path) -> None:
    (tmp_path / "plugin.dll").write_text("text")
    with pytest.raises(ValueError, match=r"^plugin\.dll must be an ELF, PE or Mach-O file; look how it was built$"):
        script("plugin_facts").read_plugin(tmp_path / "plugin.dll")


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    with ZipFile(folder / name, "w") as file:
        for path, content in files.items():
            file.writestr(path, content)
    return folder / name


def sdist(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "vscugan-1.tar.gz", "w:gz") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(f"vscugan-1/{name}"), io.BytesIO())
    return folder / "vscugan-1.tar.gz"


@pytest.mark.parametrize(
    ("name", "files", "fault"),
    [
        ("win32", {}, "a wheel's name must end with -py3-none-win_amd64.whl, got vscugan-1-py3-none-win32.whl"),
        (
            "win_amd64",
            {"vscugan-1.dist-info/WHEEL": "Tag: cp312-cp312-win_amd64\n"},
            "vscugan-1-py3-none-win_amd64.whl: Tag must be py3-none-win_amd64, got ['cp312-cp312-win_amd64']",
        ),
        (
            "win_amd64",
            {"vapoursynth/plugins/arguments.lib": ""},
            "vscugan-1-py3-none-win_amd64.whl: beside vscugan/ there must be vapoursynth/plugins/vscugan.dll alone, "
            "got vapoursynth/plugins/arguments.lib, vapoursynth/plugins/vscugan.dll",
        ),
        (
            "win_amd64",
            {},
            "vscugan-1-py3-none-win_amd64.whl: must have vscugan/new/a.py; add the package to pyproject.toml",
        ),
    ],
)
def test_each_fault_of_a_wheel_is_named(
    script: Any, name: str, files: dict[str, str], fault: str, tmp_path: Path
) -> None:
    checks = script("check_wheels")
    content = {
        "vscugan-1.dist-info/WHEEL": "Root-Is-Purelib: false\nTag: py3-none-win_amd64\n",
        "vscugan/__init__.py": "",
        **files,
        "vapoursynth/plugins/vscugan.dll": "",
    }
    path = wheel(tmp_path, f"vscugan-1-py3-none-{name}.whl", content)
    with pytest.raises(checks.WheelError) as error:
        checks.check_wheel("win_amd64", path, sdist(tmp_path, "vscugan/__init__.py", "vscugan/new/a.py", "setup.py"))
    assert str(error.value) == fault


def test_wheels_that_differ_are_named_with_the_files(script: Any, tmp_path: Path) -> None:
    checks = script("check_wheels")
    common = {"x.py": "1", "y.py": "1", "vapoursynth/plugins/a.so": "1"}
    first = wheel(tmp_path, "a.whl", {**common, "v.dist-info/WHEEL": "1"})
    second = wheel(tmp_path, "b.whl", {"x.py": "2", "vapoursynth/plugins/b.dll": "2", "v.dist-info/WHEEL": "2"})
    with pytest.raises(checks.WheelError) as error:
        checks.check_together({"a": first, "b": second})
    assert str(error.value) == "a.whl and b.whl must have the same files, these differ: x.py, y.py"
    again = wheel(tmp_path / "again", "a.whl", {**common, "y.py": "2"})
    with pytest.raises(checks.WheelError) as error:
        checks.check_equal(first, again)
    assert str(error.value) == "a.whl must be the same in two runs, these differ: v.dist-info/WHEEL, y.py"


def test_an_sdist_depends_on_no_date_owner_or_umask(script: Any, tmp_path: Path) -> None:
    checks, make = script("check_wheels"), script("make_wheels")
    paths = [sdist(tmp_path / name, *names) for name, names in (("a", "xy"), ("b", "yx"))]
    with pytest.raises(checks.WheelError) as error:
        checks.check_equal(*paths)
    assert str(error.value) == (
        "vscugan-1.tar.gz must be the same in two runs, these differ: the order, dates or permissions of the members"
    )
    for path in paths:
        make.normalise(path, 1_700_000_000)
    checks.check_equal(*paths)
    assert gzip.decompress(paths[0].read_bytes())
    with tarfile.open(paths[0]) as file:
        assert {(member.mtime, member.uid, member.uname, member.mode) for member in file} == {
            (1_700_000_000, 0, "", 0o644)
        }


def test_another_platform_is_refused(script: Any) -> None:
    build = script("cross.zig_build")
    with pytest.raises(SystemExit) as error:
        build.system_of("win32")
    assert str(error.value) == f"VSCUGAN_PLATFORM must be one of {', '.join(build.TARGETS)}, got win32"
    assert list(build.TARGETS) == list(script("check_wheels").RULES)
