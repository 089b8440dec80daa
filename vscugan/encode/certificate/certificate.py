"""What a certificate says of the machine: versions, processors and programs."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan import __version__
from vscugan.encode.encoders.command_line import encoder_options
from vscugan.encode.encoders.programs import Program, find_ffmpeg
from vscugan.engine.device_choice import gpus, torch_count, torch_name
from vscugan.install import version
from vscugan.runtime import BACKENDS
from vscugan.runtime.backends import backend_row, backend_rows
from vscugan.runtime.device import Device, instruction_set

#: facts of ``describe`` that a run which goes on may have otherwise: they change the last bits alone
LAST_BIT_FACTS = ("tile",)
#: packages that take part, beside those of the runtimes
PACKAGES = ("vapoursynth-bestsource", "numpy", "av", "imageio-ffmpeg", "spandrel")
#: packages that make the pictures whatever the runtime is
PICTURE_PACKAGES = ("vscugan", "vapoursynth", "vapoursynth-bestsource")


def versions() -> dict[str, str]:
    """The versions of everything that takes part in the pictures."""
    found = {"vscugan": __version__, "python": platform.python_version(),
             "vapoursynth": f"R{vs.core.core_version.release_major}"}  # fmt: skip
    distributions = {name: (name,) for name in PACKAGES} | {row.package: row.distributions for row in backend_rows()}
    for name, candidates in distributions.items():
        installed = next((number for each in candidates if (number := version(each))), None)
        if installed is not None:
            found[name] = installed
    return found


def made_by_fingerprint(made_by: Mapping[str, str]) -> dict[str, str]:
    """The facts of ``describe``, without those that change only the last bits."""
    return {name: value for name, value in made_by.items() if name not in LAST_BIT_FACTS}


def fingerprint(facts: Mapping[str, Any], other_versions: Mapping[str, str]) -> dict[str, Any]:
    """The facts that decide on the pictures: of the packages only those that compute them.

    ``other_versions``: those that these are compared with. A runtime's version counts only where both sides have it:
    what was written before may lack it, as that of onnxruntime-gpu.
    """
    runtimes = facts["made_by"].get("runtime", "").split(", ")
    rows = [backend_row(name) for name in runtimes if name in BACKENDS]
    packages = {package for row in rows for package in (row.package, *row.plugin_of)}
    names = {*PICTURE_PACKAGES, *(packages & other_versions.keys())}
    return {
        **facts, "made_by": made_by_fingerprint(facts["made_by"]),
        "versions": {name: value for name, value in facts["versions"].items() if name in names},
    }  # fmt: skip


def hardware(devices: str) -> dict[str, str]:
    """The kinds of processors that compute, whose last bits may be other ones; ``devices`` as ``describe`` reports."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    found = {"cpu": f"{model}, {instruction_set().upper()}"}
    for name in devices.split(", "):
        if name.startswith("cuda") and torch_count("cuda"):
            found[name] = torch_name(Device("cuda", int(name.partition(":")[2] or 0)))
        elif name.startswith("gpu:"):
            adapter = gpus()[int(name.removeprefix("gpu:"))].adapter
            found[name] = f"{adapter.name}, {adapter.driver}"
    return found


def program_facts(program: Program, arguments: Sequence[str]) -> dict[str, str]:
    """The encoder as it is named in journal and certificate, with its options beside the colour."""
    inside = "ffmpeg" if program.is_ffmpeg else "itself"
    options = shlex.join(encoder_options(program, arguments))
    return {"name": program.name, "version": program.version, "inside": inside, "settings": options}


def muxer_name() -> str:
    """The file name of the ffmpeg that writes the container; its version stands in it or in ``versions``."""
    return Path(find_ffmpeg()).name
