"""What decides on a result: written down by the first run, and compared with by each that goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vscugan.encode.certificate import certificate
from vscugan.encode.encoders.programs import Program
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.encode_job import EncodeJob, refuse_differences, write_job
from vscugan.encode.job.journal import Entry, Journal
from vscugan.files import sha256


def input_facts(job: EncodeJob, source_sha256: str) -> dict[str, Any]:
    """The files that the frames are made of."""
    return {
        "source": {"sha256": source_sha256, "bytes": Path(job.source).stat().st_size},
        "script_sha256": sha256(Path(job.script)) if job.script else None,
    }


def run_facts(
    job: EncodeJob, program: Program, frames: int, source_sha256: str, made_by: dict[str, str]
) -> dict[str, Any]:
    """Everything that decides on the result: inputs, versions, encoder, and what computes the frames."""
    return {
        **input_facts(job, source_sha256),
        "frames": frames,
        "versions": certificate.versions(),
        "encoder": certificate.program_facts(program, job.encoder_arguments),
        "made_by": certificate.made_by_fingerprint(made_by),
    }


def refuse_other_inputs(job: EncodeJob, begin: Entry, facts: dict[str, Any]) -> None:
    """Raise ConflictError where parameters, source or script are not those of the run before.

    ``begin`` is its first entry in the journal.
    """
    refuse_differences(begin["plan"], job.fingerprint(), "parameters")
    for name in ("source", "script_sha256"):
        refuse_differences({name: begin["facts"].get(name)}, {name: facts[name]}, name.removesuffix("_sha256"))


def begin_or_compare(job: EncodeJob, journal: Journal, facts: dict[str, Any], stream_format: StreamFormat) -> None:
    """Write down what decides on the result, or compare it with what the run before has written.

    Raises: ConflictError.
    """
    for begin in journal.of_kind("begin")[:1]:
        refuse_other_inputs(job, begin, facts)
        before = begin["facts"]
        old = certificate.fingerprint(before, facts["versions"])
        refuse_differences(old, certificate.fingerprint(facts, before["versions"]), "what makes the pictures")
        return
    write_job(job)
    described = as_in_journal(stream_format)
    journal.append({"kind": "begin", "plan": job.fingerprint(), "facts": facts, "picture": described})


def as_in_journal(stream_format: StreamFormat) -> Any:
    """A stream format as it is read from the journal."""
    return json.loads(json.dumps(stream_format.described()))
