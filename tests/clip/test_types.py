"""The three signatures of Upscale agree, and a user's script passes mypy and pyright in their strict modes."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vscugan
from vscugan import settings

STUB = Path(vscugan.__file__).parent / "plugin.pyi"
#: VapourSynth's types of arguments in the stub, beside Literal, and in what vsstubs writes
TYPES = {
    "vnode": ({"vs.VideoNode"}, "VideoNode"),
    "float": ({"float"}, "_FloatLike"),
    "int": ({"int", "bool"}, "_IntLike"),
    "int[]": ({"int | Sequence[int]"}, "_IntLike | _SequenceLike[_IntLike]"),
    "data": ({"str"}, "_AnyStr"),
    "data[]": ({"str | Sequence[str]"}, "_AnyStr | _SequenceLike[_AnyStr]"),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "noise": tuple(settings.NOISES.values()),
    "model": settings.MODELS,
    "precision": settings.PRECISIONS,
    "kernel": settings.KERNELS,
    "overshoot": settings.OVERSHOOTS,
    "backend": settings.BACKENDS,
    "reuse": settings.REUSES,
    "gates": settings.GATES,
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


def plugin_arguments(core: Any) -> dict[str, str]:
    """Names and VapourSynth's types, in the plugin's order."""
    return dict(part.split(":")[:2] for part in core.cugan.Upscale.signature.rstrip(";").split(";"))


def test_the_stub_the_twin_and_the_plugin_agree(core: Any) -> None:
    plugin = plugin_arguments(core)
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    stub = {a.arg: ast.unparse(a.annotation) for a in function.args.args[1:] if a.annotation}
    assert list(stub) == list(plugin)
    assert list(inspect.signature(vscugan.upscale).parameters) == list(plugin)
    assert set(inspect.signature(settings.validate).parameters) == set(plugin) - {"clip", "alpha_clip"}
    assert [ast.unparse(default) for default in function.args.defaults] == ["None"] * (len(plugin) - 1)
    for name, annotation in stub.items():
        plain = annotation.removesuffix(" | None")
        assert plain.startswith("Literal[") == (name in CHOICES)
        if name in CHOICES:
            assert set(ast.literal_eval(plain.removeprefix("Literal"))) == set(CHOICES[name])
        else:
            assert plain in TYPES[plugin[name]][0]


@pytest.fixture
def typed(core: Any, tmp_path: Path) -> Path:
    """A folder with a user's script, and stubs as vsstubs writes them."""
    arguments = [
        f"{name}: {TYPES[kind][1]}" + ("" if name == "clip" else " | None = None")
        for name, kind in plugin_arguments(core).items()
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
        "\"Literal['denoise4x']\"; expected \"Literal['conservative', 'no-denoise', 'denoise1x', 'denoise2x', "
        "'denoise3x'] | None\"  [arg-type]\nFound 1 error in 1 file (checked 1 source file)\n"
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
