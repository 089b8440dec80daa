"""Signatures of Upscale are those of the rows, and a user's script passes mypy and pyright in their strict modes."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import vscugan
from vscugan import settings

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
STUB = Path(vscugan.__file__).parent / "plugin.pyi"
#: VapourSynth's types of arguments in what vsstubs writes
TYPES = {
    "vnode": "VideoNode",
    "float": "_FloatLike",
    "int": "_IntLike",
    "int[]": "_IntLike | _SequenceLike[_IntLike]",
    "data": "_AnyStr",
    "data[]": "_AnyStr | _SequenceLike[_AnyStr]",
}
SCRIPT = """
from typing import TYPE_CHECKING, cast

import vapoursynth as vs

if TYPE_CHECKING:
    from vscugan.plugin import Plugin

cugan: "Plugin" = vs.core.cugan
clip = vs.VideoNode()
positional = cugan.Upscale(clip, 2, "denoise1x", "se", None, 1.0, 48)
named: vs.VideoNode = cugan.Upscale(clip, scale=1.5, tile=[64, 64], device=["cpu"], linear=True, gates="scene")
# pyright takes the assigned type in place of the declared one
cast("Plugin", vs.core.cugan).Upscale(clip, 2, "denoise4x")
"""
LAST_LINE = SCRIPT.rstrip().count("\n") + 1  # where the only error is
#: the shape of what vsstubs 3.0 writes
STUBS = """
from collections.abc import Buffer, Callable, Iterator
from typing import Concatenate, Final, Protocol, SupportsFloat, SupportsIndex, SupportsInt

type _AnyStr = str | bytes | bytearray
type _IntLike = SupportsInt | SupportsIndex | Buffer
type _FloatLike = SupportsFloat | SupportsIndex | Buffer

class _SequenceLike[T](Protocol):
    def __iter__(self) -> Iterator[T]: ...
    def __len__(self) -> int: ...

class VideoNode: ...
class Plugin: ...

class _Wrapper:
    class Function[**P, R]:
        def __init__[PluginT: Plugin](self, function: Callable[Concatenate[PluginT, P], R]) -> None: ...
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

class _Cugan(Plugin):
    @_Wrapper.Function
    def Upscale(self, /, {arguments}) -> VideoNode: ...

class Core:
    cugan: Final[_Cugan]

core: Core
"""


def test_the_plugin_takes_what_the_rows_say(core: Any) -> None:
    assert core.cugan.Upscale.signature == settings.SIGNATURE
    assert settings.SIGNATURE.startswith("clip:vnode;scale:float:opt;noise:data:opt;model:data:opt;weights:data:opt;")
    assert "tile:int[]:opt;device:data[]:opt;" in settings.SIGNATURE


def test_the_typed_twin_has_a_parameter_for_each_row() -> None:
    parameters = inspect.signature(vscugan.upscale).parameters
    assert list(parameters) == list(settings.ARGUMENTS), "add the parameter to vscugan/clip/upscale.py"
    hints = get_type_hints(vscugan.upscale)
    for name, option in settings.OPTIONS.items():
        assert hints[name] == option.twin_type | None, name
        assert parameters[name].default is None, name


def test_the_stub_is_what_its_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    make_stub = importlib.import_module("make_stub")
    written = make_stub.stub()
    assert STUB.read_text(encoding="utf-8") == written, "run python scripts/make_stub.py"
    many = replace(settings.OPTIONS["backend"], choices=[f"runtime{n}" for n in range(20)])
    lines = make_stub.parameter("backend", many).splitlines()
    assert max(map(len, lines)) <= 120
    assert ast.unparse(ast.parse(f"def f({' '.join(lines)}): ...")).startswith("def f(backend: Literal['runtime0', ")


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """A folder with a user's script, and stubs as vsstubs writes them."""
    arguments = [
        f"{name}: {TYPES[option.type]}" + ("" if name == "clip" else " | None = None")
        for name, option in settings.ARGUMENTS.items()
    ]
    (tmp_path / "vapoursynth.pyi").write_text(STUBS.format(arguments=", ".join(arguments)))
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def test_a_script_with_the_types_of_vsstubs_passes_mypy_strict(typed: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", typed / "cache", "--config-file", "", "script.py"],
        capture_output=True, text=True, check=False, cwd=typed,
    )  # fmt: skip
    assert run.stdout == (
        f'script.py:{LAST_LINE}: error: Argument 3 to "Upscale" of "Plugin" has incompatible type '
        "\"Literal['denoise4x']\"; expected \"Literal['conservative', 'no-denoise', 'denoise0x', 'denoise1x', "
        "'denoise2x', 'denoise3x'] | None\"  [arg-type]\nFound 1 error in 1 file (checked 1 source file)\n"
    ), run.stderr


def test_a_script_with_the_types_of_vsstubs_passes_pyright_strict(typed: Path) -> None:
    (typed / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "include": ["script.py"]}')
    run = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable],
        capture_output=True, text=True, check=False, cwd=typed,
    )  # fmt: skip
    errors = [each for each in json.loads(run.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    places = [(each["range"]["start"]["line"] + 1, each["rule"]) for each in errors]
    assert places == [(LAST_LINE, "reportArgumentType")], errors
