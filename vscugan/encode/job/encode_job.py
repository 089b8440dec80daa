"""One encode as it was asked for: written into the work folder, and compared with when a run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from vscugan.encode.container.timeline import moment
from vscugan.encode.job.json_types import misfit, printable
from vscugan.encode.job.work_folder import read_file
from vscugan.errors import ArgumentError, ConflictError
from vscugan.files import write_whole
from vscugan.settings import OPTIONS, Settings, validate

#: An encoder's usual distance of keyframes (10 s), so that the cuts cost next to no bits.
DEFAULT_CHUNK_S = 10.0
LONGEST_CHUNK_S = 3600
PLAN_NAME = "plan.json"
WORK_SUFFIX = ".vscugan"
CERTIFICATE_SUFFIX = ".cugan.json"
#: what the result does not depend on, so that a run that goes on may have other ones
IRRELEVANT_FIELDS = ("source", "output", "overwrite", "keep_work", "profile", "cluster", "ship", "same_bits", "dry_run")
#: options of Upscale that may be null in a job's file, which is the same as left out
NULLABLE = ("scale", "width", "height", "noise", "model", "weights", "tile", "memory", "streams", "gates", "strength")


@dataclass(frozen=True, kw_only=True)
class EncodeJob:
    """One encode as it was asked for; paths are absolute."""

    source: str
    output: str
    options: dict[str, Any] = field(default_factory=dict)  #: of Upscale
    script: str | None = None
    script_arguments: dict[str, str] = field(default_factory=dict)
    encoder: str = "x265"
    encoder_arguments: list[str] = field(default_factory=list)
    chunk_s: float = DEFAULT_CHUNK_S
    start: str = ""  #: of the source, a time or a frame; empty for its beginning
    end: str = ""  #: the first that is left out; empty for the source's end
    crop: list[int] = field(default_factory=list)  #: px of the source: left, right, top and bottom
    leave_out: bool = False  #: what the container can't hold
    overwrite: bool = False
    keep_work: bool = False
    dry_run: bool = False  #: say what would be done and how long it takes, and do nothing
    cluster: str = ""  #: the address of a Ray cluster that does the chunks
    ship: bool = False  #: bring the source to the nodes, which don't see its path
    same_bits: bool = False  #: refuse nodes whose pictures differ in the last bits
    profile: dict[str, Any] = field(default_factory=dict)  #: where options came from, for the certificate

    @property
    def grid_frames(self) -> int:
        """Chunks begin on multiples of so many frames.

        These are Upscale's segments, which ``reuse=still`` and ``gates=scene`` work through from their beginning: a
        chunk that began inside one would compute the frames before it once more.
        """
        return int(self.options.get("segment", Settings.segment))

    @property
    def work_folder(self) -> Path:
        """Where chunks and journal are, beside the output."""
        return Path(self.output + WORK_SUFFIX)

    @property
    def certificate(self) -> Path:
        """Where the certificate is, beside the output."""
        return Path(self.output + CERTIFICATE_SUFFIX)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def fingerprint(self) -> dict[str, Any]:
        """The values that decide on the result; where the files lie does not."""
        return {name: value for name, value in self.to_json().items() if name not in IRRELEVANT_FIELDS}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncodeJob:
        """From plain values; what is unknown is left out, since a newer version may have written it.

        Raises: ArgumentError, as for the same values on the command line.
        """
        names = {f.name for f in fields(cls)}
        given = {name: value for name, value in values.items() if name in names}
        defaults = asdict(cls(source="", output=""))
        del defaults["source"], defaults["output"]
        if fault := misfit(defaults | given, get_type_hints(cls)):
            raise ArgumentError(f"parameters must be those of encode, got {fault}; give them on the command line")
        job = cls(**given)
        job.check()
        return job

    def check(self) -> None:
        """Check every value that can be checked without a file.

        Raises: ArgumentError.
        """
        if not 0 < self.chunk_s <= LONGEST_CHUNK_S:
            raise ArgumentError(
                f"chunk must be above 0 and at most {LONGEST_CHUNK_S} s, got {self.chunk_s:g}; leave it out for "
                f"{DEFAULT_CHUNK_S:g}"
            )
        moment("start", self.start)
        moment("end", self.end)
        if not self.cluster and (self.ship or self.same_bits):
            raise ArgumentError("ship and same-bits must come with a cluster, got none; name it by --cluster")
        if self.crop and (len(self.crop) != 4 or min(self.crop) < 0):
            got = ",".join(map(str, self.crop))
            raise ArgumentError(f"crop must be four numbers of px from 0 on, got {got}; name left,right,top,bottom")
        for name in self.script_arguments:
            if not name.isidentifier():
                raise ArgumentError(f"arg must be NAME=VALUE, got {name!r}; write it as for vspipe -a")
        _check_options(self.options)


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise ArgumentError where these can't be options of Upscale as the command line takes them."""
    hints = {name: option.value_type for name, option in OPTIONS.items() if option.on_command_line}
    hints |= {name: hints[name] | None for name in NULLABLE} | {"format": str}
    if unknown := sorted(options.keys() - hints.keys()):
        raise ArgumentError(f"options must be those of Upscale, got {unknown[0]}; run vscugan help encode to see them")
    if fault := misfit(options, {name: hints[name] for name in options}):
        raise ArgumentError(f"options must be those of Upscale, got {fault}; run vscugan help encode to see them")
    validate(**{name: value for name, value in options.items() if name != "format"})


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of values, as ``name was X, now Y``."""
    before, after = _flat(old), _flat(new)
    return [
        f"{printable(name.removeprefix('options.').replace('_', '-'))} was "
        f"{printable(before.get(name, 'left out'))}, now {printable(after.get(name, 'left out'))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def refuse_differences(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> None:
    """Raise ConflictError where a run that goes on would make something else than the run before.

    ``what`` begins the message: whose values they are.
    """
    if changed := differences(old, new):
        raise ConflictError(
            f"{what} must be as in the run before, got a difference: {'; '.join(changed)}; "
            "run it as before, or say --restart to throw the finished chunks away"
        )


def read_job(folder: Path) -> EncodeJob | None:
    """The job of the run before, None where there is none.

    Raises: ConflictError for a damaged one.
    """
    try:
        content = json.loads(read_file(folder / PLAN_NAME))
        return EncodeJob.from_json(content if isinstance(content, dict) else {})
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ConflictError(
            f"{folder.name}/{PLAN_NAME} must be a plan, got {error}; say --restart to throw the work folder away"
        ) from error


def write_job(job: EncodeJob) -> None:
    """Write the job into its work folder, durably."""
    content = json.dumps(job.to_json(), indent=1, ensure_ascii=False, sort_keys=True)
    write_whole(job.work_folder / PLAN_NAME, content.encode() + b"\n")
