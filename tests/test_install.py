"""Messages about what to install name commands that work from where this copy came."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tomllib
from pathlib import Path

import pytest
import vapoursynth as vs

from vscugan import __version__
from vscugan.exits import describe_exit
from vscugan.install import how_to_install, how_to_reinstall, how_to_repair, quoted, why_not

ROOT = Path(__file__).parent.parent
MISMATCH = ImportError("Check 'versions_compatible' failed at pyopenvino.cpp:99:\nmore")


class Installed:
    """A distribution that was installed from somewhere."""

    def __init__(self, direct_url: dict[str, object] | None) -> None:
        self.direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.direct_url is None else json.dumps(self.direct_url)


def test_extras_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert how_to_install("openvino") == "run pip install openvino onnx"
    assert how_to_install("tensorrt") == 'run pip install onnxruntime-gpu "tensorrt<11" onnx'
    assert how_to_install("encode") == (
        "run pip install vapoursynth-bestsource imageio-ffmpeg av rich pillow tifffile imagecodecs"
    )

    def absent(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    assert how_to_install("encode") == 'run pip install ".[encode]" in a clone of vscugan'


def test_no_message_names_a_package_index_that_does_not_have_us() -> None:
    for folder in ("vscugan", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "vscugan[" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("direct_url", "what"),
    [
        (None, ". in a clone of vscugan"),
        ({"url": "file:///nowhere/vscugan", "dir_info": {}}, ". in a clone of vscugan"),
        ({"url": "file://{here}", "dir_info": {}}, "'{here}'"),
        ({"url": "file://{here}", "dir_info": {"editable": True}}, "--editable '{here}'"),
        ({"url": "https://example.org/v.whl", "archive_info": {}}, "https://example.org/v.whl"),
        ({"url": "https://example.org/v", "vcs_info": {"vcs": "git"}}, "git+https://example.org/v"),
    ],
)
def test_vscugan_itself_comes_from_where_it_came(
    direct_url: dict[str, object] | None, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "a clone"
    here.mkdir()
    if direct_url:
        direct_url = direct_url | {"url": str(direct_url["url"]).format(here=str(here).replace(" ", "%20"))}
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(direct_url))
    monkeypatch.setattr("vscugan.install.__version__", "0.2.0.dev0")
    assert how_to_reinstall() == f"run pip install --force-reinstall --no-deps {what.format(here=here)}"


@pytest.mark.parametrize(
    ("version", "what"),
    [
        ("0.2.0", "vscugan==0.2.0"),
        ("1.0", "vscugan==1.0"),
        ("0.2.0.dev0", "/a/vscugan-0.2.0.dev0-py3-none-any.whl"),
        ("0.2.0rc1", "/a/vscugan-0.2.0.dev0-py3-none-any.whl"),
        ("0.2.0+local", "/a/vscugan-0.2.0.dev0-py3-none-any.whl"),
    ],
)
def test_a_release_comes_from_the_index_and_another_wheel_from_its_file(
    version: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url: dict[str, object] = {"url": "file:///a/vscugan-0.2.0.dev0-py3-none-any.whl", "archive_info": {}}
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(url))
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr("vscugan.install.__version__", version)
    assert how_to_reinstall() == f"run pip install --force-reinstall --no-deps {what}"


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    plugin = vs.core.cugan.version
    assert (plugin.major, plugin.minor) == tuple(map(int, __version__.split(".")[:2]))


def test_another_openvino_in_the_process_is_named() -> None:
    why = why_not("openvino", MISMATCH)
    assert why == (
        "another OpenVINO in this process, which a plugin such as vapoursynth-mlrt-ov has loaded (ImportError: Check "
        "'versions_compatible' failed at pyopenvino.cpp:99)"
    )
    assert how_to_repair("openvino", why) == "run pip uninstall vapoursynth-mlrt-ov where it is not needed"
    why = why_not("openvino", ImportError("libtbb.so.12: no such file"))
    assert why == "ImportError: libtbb.so.12: no such file"
    assert how_to_repair("openvino", why) == "run pip install openvino onnx"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (3, "exit code 3"),
        (0xC000001D, "exit code 0xC000001D (a library uses instructions that this CPU does not have)"),
        (-7, "SIGBUS (a file was cut off or could not be read while it was in use, or memory was short)"),
        (-4, "SIGILL (a library uses instructions that this CPU does not have)"),
        (-13, "SIGPIPE"),
        (-99, "signal 99"),
    ],
)
def test_ends_of_processes_are_explained(code: int, text: str) -> None:
    assert describe_exit(code) == text


@pytest.mark.parametrize(
    ("platform", "argument", "typed"),
    [
        ("linux", "/a clone", "'/a clone'"),
        ("linux", "/clone", "/clone"),
        ("win32", r"C:\Users\a clone", r'"C:\Users\a clone"'),
        ("win32", r"C:\clone", r"C:\clone"),
    ],
)
def test_arguments_are_quoted_as_the_systems_shell_takes_them(
    platform: str, argument: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert quoted(argument) == typed
