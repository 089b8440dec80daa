"""``vscugan doctor``: one line for each part, with the mend for what is not well."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vscugan.cache import cache_folder

SMALL_BYTES = 1 << 30
PACKAGES = ("numpy", "safetensors", "vsutil", "xxhash")
HELP = "say what is well and how to mend what is not"


class Unwell(Exception):
    """A check that failed: what is wrong, and what to do."""

    def __init__(self, fact: str, mend: str) -> None:
        super().__init__(f"{fact}; {mend}")


def interpreter() -> str:
    """Which Python this is; one older than 3.12 does not come this far."""
    version = sys.version.split()[0]
    return f"Python {version} in {sys.prefix}"


def vapoursynth() -> str:
    """VapourSynth imports."""
    try:
        import vapoursynth as vs
    except ImportError as error:
        raise Unwell(str(error), "run pip install vapoursynth") from None
    version = vs.core.core_version
    return f"R{version.release_major}"


def plugin_file() -> Path:
    """The bridge, where VapourSynth loads plugins from.

    Raises: Unwell when it is not there.
    """
    import vapoursynth as vs

    folders = [Path(vs.get_plugin_dir()), Path(os.environ.get("VAPOURSYNTH_EXTRA_PLUGIN_PATH") or vs.get_plugin_dir())]
    for folder in folders:
        for suffix in (".so", ".dll", ".dylib"):
            if (folder / f"vscugan{suffix}").is_file():
                return folder / f"vscugan{suffix}"
    raise Unwell(f"no vscugan plugin in {folders[0]}", "run pip install --force-reinstall --no-deps vscugan")


#: Autoload is silent about errors, LoadPlugin is not. Loading it twice is an error too, hence no autoload.
_LOAD = """
import sys
import vapoursynth as vs
class Bare(vs.EnvironmentPolicy):
    def on_policy_registered(self, api):
        self.environment = api.create_environment(int(vs.CoreCreationFlags.DISABLE_AUTO_LOADING))
    def on_policy_cleared(self): self.environment = None
    def get_current_environment(self): return self.environment
    def set_environment(self, environment): return self.environment
vs.register_policy(Bare())
vs.core.std.LoadPlugin(sys.argv[1])
vs.core.cugan.Upscale
"""


def bridge() -> str:
    """The plugin loads, by LoadPlugin in a process of its own."""
    path = plugin_file()
    run = subprocess.run([sys.executable, "-c", _LOAD, str(path)], capture_output=True, text=True, check=False)
    if run.returncode:
        reason = run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"exit code {run.returncode}"
        raise Unwell(reason, "run pip install --force-reinstall --no-deps vscugan")
    return str(path)


def namespace() -> str:
    """core.cugan is there by itself."""
    import vapoursynth as vs

    if not hasattr(vs.core, "cugan"):
        raise Unwell("core.cugan is missing", "see the line above, and that VapourSynth is this environment's")
    return "core.cugan.Upscale"


def torch() -> str:
    """Torch imports."""
    try:
        import torch as module
    except ImportError as error:
        raise Unwell(str(error), "run pip install torch") from None
    return str(module.__version__)


def device() -> str:
    """What device= may name, first what auto takes."""
    import torch as module

    kinds = {"cuda": module.cuda, "xpu": module.xpu}
    found = [
        f"{name}:{n} {kind.get_device_name(n)}"
        for name, kind in kinds.items()
        if kind.is_available()
        for n in range(kind.device_count())
    ]
    if module.backends.mps.is_available():
        found.append("mps")
    return ", ".join([*found, f"cpu with {module.get_num_threads()} threads"])


def weights() -> str:
    """Every released model is there and has the registry's sha256."""
    from vscugan.errors import WeightsError
    from vscugan.models.registry import rows
    from vscugan.models.weights import load_released

    for row in rows():
        try:
            load_released(row)
        except WeightsError as error:
            fact, _, mend = str(error).partition("; ")
            raise Unwell(fact, mend) from None
    return f"{len(rows())} models, sha256 right"


def packages() -> str:
    """What every Upscale needs besides torch is installed."""
    missing = [name for name in PACKAGES if not _version(name)]
    if missing:
        raise Unwell(f"{', '.join(missing)} not installed", f"run pip install {' '.join(missing)}")
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def runtimes() -> str:
    """Which runtimes are installed besides torch."""
    found = [name for name in ("openvino", "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml") if _version(name)]
    return ", ".join(f"{name} {_version(name)}" for name in found) or (
        'only torch; pip install "vscugan[openvino]" is faster on CPUs'
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def source_filter() -> str:
    """Bestsource opens videos for encode and preview."""
    import vapoursynth as vs

    if not hasattr(vs.core, "bs"):
        raise Unwell("core.bs is missing", "run pip install vapoursynth-bestsource")
    return f"bestsource {_version('vapoursynth-bestsource') or 'of unknown version'}"


def encoders() -> str:
    """Each encoder's own tool on PATH, else the one inside ffmpeg."""
    try:
        from vscugan.encode.encoder_rows import ENCODERS
        from vscugan.encode.encoders import find_encoder, find_ffmpeg
    except ImportError as error:
        raise Unwell(str(error), 'run pip install "vscugan[encode]"') from None
    from vscugan.errors import EncoderError

    told = []
    try:
        find_ffmpeg()
        for name in ENCODERS:
            try:
                program = find_encoder(name)
            except EncoderError:
                told.append(f"{name} missing")
            else:
                told.append(f"{name} {'inside ffmpeg' if program.is_ffmpeg else program.path}")
    except EncoderError as error:
        fact, _, mend = str(error).partition("; ")
        raise Unwell(fact, mend) from None
    return ", ".join(told)


def encode_packages() -> str:
    """What encode and image need is installed."""
    missing = [name for name in ("av", "rich", "pillow", "tifffile", "imagecodecs") if not _version(name)]
    if missing:
        raise Unwell(f"{', '.join(missing)} not installed", 'run pip install "vscugan[encode]"')
    return f"PyAV {_version('av')}, rich, pillow, tifffile, imagecodecs"


def disk() -> str:
    """Room in this folder and in the cache's."""
    cache = cache_folder()
    while not cache.exists():
        cache = cache.parent
    free = {"here": shutil.disk_usage(Path.cwd()).free, "cache": shutil.disk_usage(cache).free}
    for place, count in free.items():
        if count < SMALL_BYTES:
            raise Unwell(f"{count >> 20} MiB free ({place})", "make room: an encode needs its result's size twice")
    if not cache.is_dir() or not os.access(cache, os.W_OK):
        raise Unwell(f"no folder that may be written to: {cache} (cache)", "name another one by VSCUGAN_CACHE")
    return ", ".join(f"{count / 2**30:.1f} GiB free ({place})" for place, count in free.items())


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("interpreter", interpreter),
    ("VapourSynth", vapoursynth),
    ("bridge", bridge),
    ("core.cugan", namespace),
    ("torch", torch),
    ("device", device),
    ("weights", weights),
    ("packages", packages),
    ("runtimes", runtimes),
    ("source filter", source_filter),
    ("encoders", encoders),
    ("encode packages", encode_packages),
    ("disk", disk),
)


def doctor() -> int:
    """Print a line for each check; returns 1 when any failed."""
    failed = False
    for name, check in CHECKS:
        try:
            print(f"ok    {name}: {check()}")
        except Exception as error:  # a check that breaks is a finding, not a crash
            failed = True
            print(f"FAIL  {name}: {error}")
    return int(failed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has none."""


def run(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Run the command on its words; returns the exit code."""
    parser.parse_args(words)
    return doctor()
