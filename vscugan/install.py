"""Commands that install what is missing, by where this copy of vscugan came from, and a package imported with care."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vscugan import __version__
from vscugan.errors import DeviceError

PACKAGE = "vscugan"
TORCH_HINT = "run pip install torch"
#: a package with an OpenVINO of its own, which can't be loaded beside ours, and a part of the error that then comes
RIVAL, RIVAL_ERROR = "vapoursynth-mlrt-ov", "versions_compatible"
#: a version that is on the package index: no .dev, no rc, no +local
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*")
_NAME, _TOO_NEW = re.compile(r"[A-Za-z0-9._-]+"), re.compile(r"<[0-9.]+")


def version(package: str) -> str | None:
    """The version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def openvino() -> Any:
    """openvino itself, imported when it is first needed.

    Importing it sends a telemetry event from a forked process, unless its telemetry package is missing.
    """
    telemetry = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        if telemetry is None:
            del sys.modules["openvino_telemetry"]
        else:
            sys.modules["openvino_telemetry"] = telemetry


def torch() -> Any:
    """torch itself, imported when it is first needed.

    Raises: whatever a broken installation raises; ModuleNotFoundError also where there is but a folder of that name.
    """
    module = importlib.import_module("torch")
    if getattr(module, "__file__", "") is None:  # to Python any folder is a package, such as one that pip left behind
        raise ModuleNotFoundError(f"no torch in {', '.join(module.__path__)}", name="torch")
    return module


def require_torch(needed_by: str) -> Any:
    """torch itself, for the few things here that only it computes or reads.

    Raises: DeviceError where it does not load.
    """
    try:
        return torch()
    except Exception as error:  # whatever a broken installation raises
        raise DeviceError(f"{needed_by} must have torch, got {why_not('torch', error)}; {TORCH_HINT}") from None


def _requirements(extra: str = "") -> dict[str, str]:
    """The packages of an extra, or those that vscugan always needs, as the installed copy lists them.

    Each with the version that is too new.
    """
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        requirements = []
    wanted = [text for text in requirements if (f'extra == "{extra}"' in text if extra else "extra ==" not in text)]
    names = [text.partition(";")[0] for text in wanted]
    too_new = {found[0]: _TOO_NEW.search(text) for text in names if (found := _NAME.match(text))}
    return {name: found[0] if found else "" for name, found in too_new.items() if name != PACKAGE}


def packages_of(extra: str) -> list[str]:
    """The packages of an extra of vscugan, as the installed copy lists them."""
    return list(_requirements(extra))


def how_to_install(extra: str) -> str:
    """The command that installs an extra of vscugan, wherever vscugan itself came from."""
    packages = [f'"{name}{too_new}"' if too_new else name for name, too_new in _requirements(extra).items()]
    return f"run pip install {' '.join(packages) or f'".[{extra}]" in a clone of vscugan'}"


def how_to_install_module(module: str) -> str:
    """The command that installs a module which could not be imported; what is not always needed is of ``encode``."""
    needed = {name.lower(): name for name in _requirements()}
    name = needed.get(module.partition(".")[0])
    return f"run pip install {name}" if name else how_to_install("encode")


def quoted(argument: str) -> str:
    """An argument as it is to be typed: on Windows cmd.exe takes double quotes alone."""
    return subprocess.list2cmdline([argument]) if sys.platform == "win32" else shlex.quote(argument)


def _origin() -> str:
    """pip's argument for vscugan itself: a release is on the index, other copies are where they came from (PEP 610)."""
    if _RELEASE.fullmatch(__version__):
        return f"{PACKAGE}=={__version__}"
    clone = ". in a clone of vscugan"  # where the origin is gone or was not written down
    try:
        text = importlib.metadata.distribution(PACKAGE).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return clone
    if text is None:
        return clone
    content = json.loads(text)
    url = urlsplit(content["url"])
    if "vcs_info" in content:
        return quoted(f"{content['vcs_info']['vcs']}+{content['url']}")
    if url.scheme != "file":
        return quoted(content["url"])
    path = url2pathname(url.path)
    if not Path(path).exists():
        return clone
    editable = "--editable " if content.get("dir_info", {}).get("editable") else ""
    return editable + quoted(path)


def how_to_reinstall() -> str:
    """The command that installs vscugan itself anew, with its plugin."""
    return f"run pip install --force-reinstall --no-deps {_origin()}"


def why_not(package: str, error: Exception) -> str:
    """One line on why an installed package does not load."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(":")
    if package == "openvino" and (version(RIVAL) or RIVAL_ERROR in reason):
        reason = f"another OpenVINO in this process, which a plugin such as {RIVAL} has loaded ({reason})"
    return reason


def how_to_repair(extra: str, why: str) -> str:
    """What to do about the reason that ``why_not`` gave."""
    if extra == "torch":
        return TORCH_HINT
    return f"run pip uninstall {RIVAL} where it is not needed" if RIVAL in why else how_to_install(extra)
