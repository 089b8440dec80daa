"""Reader of networks in ONNX: one picture in, one picture out.

Nothing is taken from beside the file. Scale, border and sizes that the network takes are found by running it on small
pictures, by ONNX Runtime or OpenVINO. The graph is then rewritten for the runtimes: ``input`` and ``output`` in fp32,
of any size.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vscugan.architectures.shapes import round_up
from vscugan.errors import WeightsError
from vscugan.install import how_to_install, openvino, version
from vscugan.models.onnx_graph import OTHER_FILE, multiply_adds, padded, rewritten
from vscugan.models.probe import DRAWN_BOUND, MOST_BYTES, difference_without_halo, drawn_picture, measured_halo
from vscugan.models.weight_file import RETRY
from vscugan.models.whole_network import (
    LARGEST_SCALE,
    Measured,
    OnnxNetwork,
    WholeNetwork,
    architecture_of,
    measured_once,
)

#: What runs the small pictures, the first that is installed.
RUNNERS = ("onnxruntime", "openvino")
MULTIPLES = (1, 2, 4, 8, 16, 32, 12, 24, 48)
#: Px that the input has beyond a multiple, for its border, are fewer: nunif's swin_unet takes 16 beyond 48.
LARGEST_BEYOND = 18
#: Sides of the smallest pictures that are tried, in px: no smaller ones are ever given to the network.
SMALLEST_PX = (32, 64)
#: Height and width of the picture whose maps are counted: no larger one is run here.
COUNTED_PX = (96, 720)
#: What makes tensors of any size.
FREELY_SIZED = frozenset({"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile"})


def read_onnx(data: bytes, path: Path, sha256: str, notify: Callable[[str], None]) -> WholeNetwork:
    """The network and its architecture; ``sha256``: of the file, for what was measured before.

    ``notify`` is told where it must be measured now.
    Raises: WeightsError for what is no such network, is hostile, or can't be run here.
    """
    onnx, runner = _packages(path)
    plain = rewritten(onnx, data, path)
    trials = _Trials(onnx, runner, plain, path)
    found = measured_once("onnx", sha256, f"{runner} {version(runner)}", trials.measured, notify)
    if found.pad_px and not found.is_valid:
        plain = padded(onnx, plain, found.pad_px)
    border = f" with a border of {found.pad_px} px" if found.pad_px else ""
    return WholeNetwork(
        network=OnnxNetwork(model=plain),
        architecture=architecture_of("onnx", "ONNX", found),
        what=f"an ONNX network, {found.scale}x{border}; {found.tiles}",
    )


def _packages(path: Path) -> tuple[Any, str]:
    """onnx itself, and the name of the first runner that is installed."""
    runner = next((name for name in RUNNERS if importlib.util.find_spec(name)), None)
    missing = ["onnx"] if importlib.util.find_spec("onnx") is None else []
    missing += ["ONNX Runtime or OpenVINO"] if runner is None else []
    if missing or runner is None:
        raise WeightsError(
            f"{path.name} must have onnx and ONNX Runtime or OpenVINO installed, got no {' and no '.join(missing)}; "
            f"{how_to_install(RUNNERS[0])}"
        )
    return importlib.import_module("onnx"), runner


def _session(runner: str, model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """What runs a rewritten model on the CPU."""
    if runner == "openvino":
        core = openvino().Core()
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: np.array(compiled(x)[0])
    package: Any = importlib.import_module(runner)
    options = package.SessionOptions()
    options.log_severity_level = 4  # sizes that do not fit are tried, too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # one allocator for all such sessions, and for no others: it raises beyond its limit
    memory = package.OrtMemoryInfo("Cpu", package.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, package.OrtMemType.DEFAULT)
    limit = package.OrtArenaCfg({"max_mem": MOST_BYTES, "arena_extend_strategy": 1})
    package.create_and_register_allocator(memory, limit)
    options.add_session_config_entry("session.use_env_allocators", "1")
    session, once = package.InferenceSession(model, options, providers=["CPUExecutionProvider"]), package.RunOptions()
    once.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return lambda x: np.asarray(session.run(["output"], {"input": x}, once)[0])


class _Trials:
    """Runs a rewritten model on small pictures."""

    def __init__(self, onnx: Any, runner: str, plain: bytes, path: Path) -> None:
        self._onnx, self._runner, self._plain, self._path = onnx, runner, plain, path
        self._error: Exception | None = None

    def measured(self) -> Measured:
        """See ``Measured``. Raises: WeightsError."""
        self._widest, self._multiply_adds = self._counts()
        try:
            self._run_plain = _session(self._runner, self._plain)
        except Exception as error:  # whatever a runtime has against a graph
            raise self._refused("that can be loaded", error) from error
        minimum_px, multiple, scale, pad_px = self._sizes()
        try:
            return self._with_tiles(multiple, scale, pad_px, minimum_px)
        except WeightsError:
            raise
        except Exception as error:
            raise self._refused("that computes pictures of any size", error) from error

    def _refused(self, what: str, error: Exception | None) -> WeightsError:
        is_memory = "BFCArena" in f"{error}"
        reason = f"one that takes more than {MOST_BYTES >> 20} MiB" if is_memory else " ".join(f"{error}".split())[:200]
        return WeightsError(f"{self._path} must hold a network {what}, got {reason} from {self._runner}; {OTHER_FILE}")

    def _counts(self) -> tuple[float, float]:
        """The widest map's values and the multiply-adds, each a px of the picture, as far as shapes can be told.

        Before anything is run: a small file can ask for any memory.
        """
        onnx = self._onnx
        model = onnx.load_model_from_string(self._plain)
        for axis, px in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], COUNTED_PX, strict=True):
            axis.dim_value = px
        try:
            graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception as error:
            raise self._refused("whose shapes add up", error) from error
        shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        widest_two = 4 * sum(sorted(int(np.prod(shape, dtype=object)) for shape in shapes.values())[-2:])
        if widest_two > MOST_BYTES:
            raise WeightsError(
                f"{self._path} must have maps of at most {MOST_BYTES >> 20} MiB for "
                f"{COUNTED_PX[1]}x{COUNTED_PX[0]} px, got {widest_two >> 20} MiB; {OTHER_FILE}"
            )
        if self._runner == "openvino":  # which has no limit of memory
            for node in graph.node:
                if node.op_type in FREELY_SIZED and not (shapes.get(node.output[0]) and all(shapes[node.output[0]])):
                    raise WeightsError(
                        f"{self._path} must have sizes that follow from its input's, got {node.op_type!r} of another; "
                        f"{how_to_install('onnxruntime')} and its memory is limited"
                    )
        made = {name: shapes[name] for node in graph.node for name in node.output if name in shapes}
        widest = max((int(np.prod(shape)) for shape in made.values()), default=0)
        work = sum(multiply_adds(node, shapes) for node in graph.node)
        px = COUNTED_PX[0] * COUNTED_PX[1]
        return max(widest, 3 * px) / px, max(work, px) / px

    def _sizes(self) -> tuple[int, int, int, int]:
        """The least side of a picture, of which multiple it must be, the scale, and what the output lacks on each side.

        Raises: WeightsError where there are none.
        """
        for smallest, multiple in product(SMALLEST_PX, MULTIPLES):
            least = -(-smallest // multiple)
            for beyond in range(0, min(multiple, LARGEST_BEYOND), 2):
                found = self._made_of(least, multiple, beyond)
                if found is not None and 2 * found[1] % multiple == beyond:
                    return least * multiple, multiple, *found
        if self._error is not None:
            raise self._refused("that computes pictures of any size", self._error) from self._error
        raise WeightsError(
            f"{self._path} must make a picture whose size follows from the input's by a whole scale of at most "
            f"{LARGEST_SCALE} and an even border, got another; {OTHER_FILE}"
        )

    def _made_of(self, least: int, multiple: int, beyond: int) -> tuple[int, int] | None:
        """Scale and px that are lacking, where they are the same for inputs ``beyond`` px beyond multiples."""
        found = set()
        for rows, columns in ((least, least + 3), (least + 1, least + 2)):
            taken = (rows * multiple + beyond, columns * multiple + beyond)
            y = self._output(drawn_picture(*taken))
            if y is None or y.ndim != 4 or y.shape[:2] != (1, 3):
                return None
            found.add(_scale_and_border(taken, (int(y.shape[2]), int(y.shape[3]))))
        return found.pop() if len(found) == 1 else None

    def _output(self, x: Tensor) -> np.ndarray | None:
        try:
            y = self._run_plain(x.numpy())
        except Exception as error:  # whatever sizes do not fit
            self._error = error
            return None
        if not np.isfinite(y).all():
            raise WeightsError(f"{self._path} must make finite numbers, got NaN or Inf; {RETRY}")
        return y

    def _with_tiles(self, multiple: int, scale: int, pad_px: int, minimum_px: int) -> Measured:
        halo: tuple[int, int | None, float]
        if pad_px:
            halo = multiple, 0, difference_without_halo(self._tensor, scale, multiple, minimum_px, pad_px)
        if not pad_px or not halo[2] < DRAWN_BOUND:
            if pad_px:
                minimum_px = max(minimum_px, round_up(pad_px + 1, multiple))
                self._run_plain = _session(self._runner, padded(self._onnx, self._plain, pad_px))
            halo = measured_halo(self._tensor, scale, multiple, minimum_px)
        return Measured(
            scale=scale, multiple=halo[0], minimum_px=round_up(minimum_px, halo[0]), pad_px=pad_px,
            halo_px=halo[1], difference=halo[2], widest=self._widest, multiply_adds=self._multiply_adds,
        )  # fmt: skip

    def _tensor(self, x: Tensor) -> Tensor:
        return torch.from_numpy(self._run_plain(x.contiguous().numpy()))


def _scale_and_border(taken: tuple[int, int], made: tuple[int, int]) -> tuple[int, int] | None:
    """The scale, and what is lacking on each side in px of the picture, of sizes (height, width); None where uneven."""
    scale = (made[1] - made[0]) // (taken[1] - taken[0])
    if not 1 <= scale <= LARGEST_SCALE:
        return None
    lacking = {scale * of - px for of, px in zip(taken, made, strict=True)}
    lacks = lacking.pop()
    if lacking or lacks < 0 or lacks % (2 * scale):
        return None
    return scale, lacks // (2 * scale)
