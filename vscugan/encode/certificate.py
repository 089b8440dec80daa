"""The certificate beside a result: what it was made of, by what, and how to check it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan import __version__
from vscugan.encode.encoders import Program, find_ffmpeg, settings
from vscugan.errors import ArgumentError

FORM = 1
#: what describe() tells that changes nothing in the picture
UNBOUND_FACTS = ("tile",)
PACKAGES = ("vapoursynth-bestsource", "torch", "openvino", "onnxruntime", "numpy", "av", "imageio-ffmpeg")


def versions() -> dict[str, str]:
    """The versions of everything that takes part in the pictures."""
    found = {"vscugan": __version__, "python": platform.python_version(),
             "vapoursynth": f"R{vs.core.core_version.release_major}"}  # fmt: skip
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def bound(made_by: Mapping[str, str]) -> dict[str, str]:
    """What ``describe`` tells, without what changes nothing in the picture."""
    return {name: value for name, value in made_by.items() if name not in UNBOUND_FACTS}


def program_facts(program: Program, arguments: Sequence[str]) -> dict[str, str]:
    """The encoder as it is named in plan and certificate, with what it is told beside the colour."""
    inside = "ffmpeg" if program.is_ffmpeg else "itself"
    told = shlex.join(settings(program, arguments))
    return {"name": program.name, "version": program.version, "inside": inside, "settings": told}


def muxer_name() -> str:
    """The file name of the ffmpeg that writes the container; its version stands in it or in ``versions``."""
    return Path(find_ffmpeg()).name


def read_certificate(result: Path, suffix: str) -> dict[str, Any]:
    """The certificate of a result.

    Raises: ArgumentError.
    """
    path = Path(str(result) + suffix)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(
            f"certificate must be beside the result, got {path.name!r}: {getattr(error, 'strerror', None) or error}; "
            "name a file that vscugan encode made"
        ) from error
    if not isinstance(content, dict) or content.get("form") != FORM:
        raise ArgumentError(
            f"certificate must be of form {FORM}, got {content.get('form') if isinstance(content, dict) else content}; "
            "use the vscugan that wrote it"
        )
    return content
