"""The parts of an installation: each function checks one, and says what is there, or what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vscugan import install
from vscugan.cache import cache_folder
from vscugan.cli.torch_wheels import advice
from vscugan.exits import describe_exit
from vscugan.files import nearest_folder
from vscugan.install import (
    TORCH_HINT,
    how_to_install,
    how_to_reinstall,
    how_to_repair,
    packages_of,
    version,
    why_not,
)
from vscugan.runtime.torch_build import torch_build

#: less free space than this is a fault
LEAST_FREE_BYTES = 1 << 30
PACKAGES = ("numpy", "psutil", "safetensors", "vsutil", "xxhash")


class Absent(Exception):
    """Something optional is not installed: what needs it, and what to do."""

    def __init__(self, names: Sequence[str], needed_for: str, hint: str) -> None:
        super().__init__(f"{', '.join(names)} not installed, needed for {needed_for}; {hint}")


class CheckFailed(Exception):
    """A check that failed: what is wrong, and what to do."""

    def __init__(self, fact: str, hint: str) -> None:
        super().__init__(f"{fact}; {hint}")


def interpreter() -> str:
    """Which Python this is; one older than 3.12 does not come this far."""
    version = sys.version.split()[0]
    return f"Python {version} in {sys.prefix}"


def vapoursynth() -> str:
    """VapourSynth imports."""
    try:
        import vapoursynth as vs
    except ImportError as error:
        raise CheckFailed(str(error), "run pip install vapoursynth") from None
    version = vs.core.core_version
    return f"R{version.release_major}"


def plugin_file() -> Path:
    """The bridge in the folders that VapourSynth loads plugins from.

    Raises: CheckFailed when it is not there.
    """
    import vapoursynth as vs

    folders = [Path(vs.get_plugin_dir()), Path(os.environ.get("VAPOURSYNTH_EXTRA_PLUGIN_PATH") or vs.get_plugin_dir())]
    for folder in folders:
        for suffix in (".so", ".dll", ".dylib"):
            if (folder / f"vscugan{suffix}").is_file():
                return folder / f"vscugan{suffix}"
    raise CheckFailed(f"no vscugan plugin in {folders[0]}", how_to_reinstall())


#: Autoload is silent about errors, LoadPlugin is not. Loading it twice is an error too, hence no autoload.
LOAD_SCRIPT = """
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
    command = [sys.executable, "-c", LOAD_SCRIPT, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if run.returncode:
        lines = run.stderr.strip().splitlines()[-1:] if run.returncode > 0 else []
        fact = "".join(lines) or f"the plugin does not load: {describe_exit(run.returncode)}"
        raise CheckFailed(fact, how_to_reinstall())
    return str(path)


def namespace() -> str:
    """core.cugan is there by itself."""
    import vapoursynth as vs

    if not hasattr(vs.core, "cugan"):
        raise CheckFailed("core.cugan is missing", "see the line above, and that VapourSynth is this environment's")
    return "core.cugan.Upscale"


def torch() -> str:
    """Torch imports; which build it is, and which one would fit the graphics cards."""
    try:
        module = install.torch()
    except Exception as error:  # whatever a broken installation raises
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            needed_for = "backend=torch, its GPUs and .pth files"
            raise Absent(["torch"], needed_for, advice(None) or TORCH_HINT) from None
        raise CheckFailed(why_not("torch", error), "run pip install --force-reinstall torch") from None
    try:
        build = torch_build()
    except ValueError:
        return str(module.__version__)
    assert build is not None
    facts = [f"{build.version} for {build.what}", advice(build)]
    return "; ".join(fact for fact in facts if fact)


def device() -> str:
    """Every value of device=: the GPUs and what reaches them, and the CPU."""
    from vscugan.engine.device_choice import Gpu, gpus
    from vscugan.runtime.device import cpu_threads

    def described(n: int, gpu: Gpu) -> str:
        adapter = gpu.adapter
        facts = [
            gpu.reach,
            adapter.driver,
            f"{adapter.memory_bytes >> 20} MiB free" if adapter.memory_bytes else "",
            "in software" if adapter.is_software else "",
        ]
        names = " or ".join([*([str(gpu.of_torch)] if gpu.of_torch else []), f"gpu:{n}"])
        return f"{names} {adapter.name} ({', '.join(fact for fact in facts if fact)})"

    found = [described(n, gpu) for n, gpu in enumerate(gpus())]
    return ", ".join([*found, f"cpu with {cpu_threads()} threads"])


def weights() -> str:
    """Every released model is there and has the registry's sha256."""
    from vscugan.errors import WeightsError
    from vscugan.models.registry import is_installed, rows
    from vscugan.models.weights import load_released

    installed = [row for row in rows() if row.extra is None or is_installed(row)]
    for row in installed:
        try:
            load_released(row)
        except WeightsError as error:
            fact, _, hint = str(error).partition("; ")
            raise CheckFailed(fact, hint) from None
    return f"{len(installed)} models, sha256 right"


def more_models() -> str:
    """The models of other families are there."""
    from vscugan.models.registry import rows

    packages = {row.extra: row.package for row in rows() if row.extra}
    if missing := [extra for extra, package in packages.items() if version(package) is None]:
        names = dict.fromkeys(row.model for row in rows() if row.extra in missing)
        commands = " and ".join(how_to_install(extra) for extra in missing)
        raise Absent([packages[extra] for extra in missing], ", ".join(f"model={name}" for name in names), commands)
    return ", ".join(f"{package} {version(package)}" for package in packages.values())


def packages() -> str:
    """What every Upscale needs besides torch is installed."""
    missing = [name for name in PACKAGES if not version(name)]
    if missing:
        raise CheckFailed(f"{', '.join(missing)} not installed", f"run pip install {' '.join(missing)}")
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def runtimes() -> str:
    """Which runtimes besides torch work in this process, beside the plugins that VapourSynth has loaded."""
    from vscugan.runtime.backends import backend_rows, pick_backend
    from vscugan.runtime.device import CPU

    found = []
    for row in {row.package: row for row in reversed(backend_rows()) if row.package != "torch"}.values():
        installed = [f"{name} {number}" for name in row.distributions if (number := version(name))]
        if not installed:
            continue
        try:
            row.load()
        except Exception as error:
            why = why_not(row.package, error)
            hint = f"{how_to_repair(next(iter(row.extras.values())), why)}, or use backend=auto"
            raise CheckFailed(f"{row.package} does not load: {why}", hint) from None
        found += installed
    chosen, _ = pick_backend("auto", CPU, "fp32")
    fastest = max(backend_rows(), key=lambda row: row.speed_on(CPU, "fp32"))
    if not found:
        need = f"the best speed on this CPU (now {chosen} computes)"
        raise Absent([fastest.name], need, how_to_install(fastest.extras["cpu"]))
    return f"{', '.join(found)}; on this CPU {chosen} computes"


def source_filter() -> str:
    """Bestsource opens videos for encode, preview and verify."""
    import vapoursynth as vs

    name = "vapoursynth-bestsource"
    if not hasattr(vs.core, "bs"):
        if version(name) is None:
            raise Absent([name], "encode, preview and verify", f"run pip install {name}")
        raise CheckFailed("core.bs is missing", f"run pip install --force-reinstall {name}")
    return f"bestsource {version(name) or 'of unknown version'}"


def encoders() -> str:
    """Each encoder's own tool on PATH, else the one inside ffmpeg; those of GPUs where they work."""
    try:
        from vscugan.encode.encoders.command_line import device_options
        from vscugan.encode.encoders.encoder_rows import ENCODERS
        from vscugan.encode.encoders.programs import find_encoder, find_ffmpeg, works
    except ImportError as error:
        raise Absent([error.name or "a package"], "encode", how_to_install("encode")) from None
    from vscugan.errors import EncoderError

    found = []
    try:
        find_ffmpeg()
        for name, row in ENCODERS.items():
            try:
                program = find_encoder(name)
            except EncoderError:
                found += [] if row.is_hardware else [f"{name} missing"]
            else:
                if not row.is_hardware or works(program, device_options(row)):
                    found.append(f"{name} {'inside ffmpeg' if program.is_ffmpeg else program.path}")
    except EncoderError:
        raise Absent(["ffmpeg"], "encode", "run pip install imageio-ffmpeg") from None
    return ", ".join(found)


def encode_packages() -> str:
    """What encode, image, preview and verify need is installed."""
    names = packages_of("encode")
    if missing := [name for name in names if version(name) is None]:
        raise Absent(missing, "encode, image, preview and verify", f"run pip install {' '.join(missing)}")
    return ", ".join(f"{name} {version(name)}" for name in names)


def disk() -> str:
    """Free space in this folder and in the cache's."""
    cache = nearest_folder(cache_folder())
    if not cache.is_dir() or not os.access(cache, os.W_OK):
        raise CheckFailed(f"no folder that may be written to: {cache} (cache)", "name another one by VSCUGAN_CACHE")
    free = {"here": shutil.disk_usage(Path.cwd()).free, "cache": shutil.disk_usage(cache).free}
    for place, count in free.items():
        if count < LEAST_FREE_BYTES:
            hint = "free some space: an encode needs twice the size of its result"
            raise CheckFailed(f"{count >> 20} MiB free ({place})", hint)
    return ", ".join(f"{count / 2**30:.1f} GiB free ({place})" for place, count in free.items())


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("interpreter", interpreter),
    ("VapourSynth", vapoursynth),
    ("bridge", bridge),
    ("core.cugan", namespace),
    ("torch", torch),
    ("device", device),
    ("weights", weights),
    ("more models", more_models),
    ("packages", packages),
    ("runtimes", runtimes),
    ("source filter", source_filter),
    ("encoders", encoders),
    ("encode packages", encode_packages),
    ("disk", disk),
)
