"""The job that a certificate names, with its files where they are now; what is run must be named by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.encode.job.encode_job import EncodeJob
from vscugan.errors import ArgumentError, SourceError
from vscugan.files import sha256


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to verify, and how."""

    result: Path
    source: str | None
    script: str | None
    arguments: dict[str, str]  #: of the script
    weights: str | None
    frames: int
    seed: int | None
    least_psnr: float | None  #: None for the defaults


def certified_job(request: Request, content: Mapping[str, Any]) -> EncodeJob:
    """The job of the encode, with its files where they are now; what is run must be named by the user.

    Raises: SourceError, ArgumentError.
    """
    parameters = dict(content["parameters"])
    job = EncodeJob.from_json(parameters | {"source": "", "output": ""})
    name = content["source"]["name"]
    source = Path(request.source or request.result.parent / Path(name).name)
    if not source.is_file():
        raise SourceError(f"source must be there, got no {source.name!r} beside the result; name it by --source")
    parameters |= {"source": str(source), "output": str(request.result)}
    if job.script:
        parameters["script"] = str(_script(request, job.script, content["script_sha256"]))
        _check_arguments(request.arguments, job.script_arguments)
    elif given := [repr(Path(request.script).name)] if request.script else _pairs(request.arguments):
        what = "script" if request.script else "arg"
        raise ArgumentError(
            f"{what} must be left out, got {', '.join(given)} and a certificate of no script; leave out --{what}"
        )
    if weights := job.options.get("weights"):
        path = Path(request.weights or weights)
        if not path.is_file():
            raise ArgumentError(f"weights must be there, got no {path.name!r}; name the file by --weights")
        parameters["options"] = job.options | {"weights": str(path)}
    return EncodeJob.from_json(parameters)


def _script(request: Request, name: str, digest: str | None) -> Path:
    """The user's script, which must be the certificate's."""
    if request.script is None:
        raise ArgumentError(
            f"script must be named, since it is run, got the certificate's word for {Path(name).name!r}; look into it, "
            "then name it by --script"
        )
    path = Path(request.script)
    if not path.is_file():
        raise ArgumentError(f"script must be there, got no {path.name!r}; name it by --script")
    if sha256(path) != digest:
        raise ArgumentError(f"script must be the certificate's, got another sha256 of {path.name!r}; look into it")
    return path


def _pairs(arguments: Mapping[str, str]) -> list[str]:
    return [repr(f"{name}={value}") for name, value in arguments.items()]


def _check_arguments(given: Mapping[str, str], certified: Mapping[str, str]) -> None:
    """Raise ArgumentError where the user has not named what the script is to be given."""
    if missing := {name: value for name, value in certified.items() if name not in given}:
        raise ArgumentError(
            "arg must be named, since the script is given it, got the certificate's word for "
            f"{', '.join(_pairs(missing))}; look into it, then name it by --arg"
        )
    if others := {name: value for name, value in given.items() if certified.get(name) != value}:
        raise ArgumentError(f"arg must be the certificate's, got {', '.join(_pairs(others))}; look into it")
