"""The end of a run: the finished file is written, checked, and published with its certificate."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from vscugan.encode.certificate import certificate
from vscugan.encode.certificate.certificate_file import SCHEMA_VERSION
from vscugan.encode.chunks.children import Children
from vscugan.encode.container import mux
from vscugan.encode.container.mux import MuxJob
from vscugan.encode.container.publish import exists_already, publish
from vscugan.encode.container.result_check import check_result
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.events import Emit
from vscugan.encode.job.journal import Entry, Journal
from vscugan.files import disk_error, sha256, sync_file, sync_folder, write_whole

#: what stands in a certificate of each chunk, as the journal has it
CHUNK_KEYS = ("chunk", "start", "stop", "bytes", "sha256", "seconds", "hardware", "tile", "node", "made_by", "frames",
              "sketches")  # fmt: skip


def unpublished_file(job: EncodeJob) -> Path:
    """Where the finished file is until it is published."""
    return job.work_folder / f"result{Path(job.output).suffix}"


def write_result(job: EncodeJob, mux_job: MuxJob, emit: Emit, children: Children) -> dict[str, Any]:
    """Write the finished file and compare it with what it must be; returns what a certificate says of it.

    Raises: DiskError, ResultError, WorkerError.
    """
    path = unpublished_file(job)
    path.unlink(missing_ok=True)
    emit("mux")
    notes, video_sha256 = mux.mux(mux_job, path, children.add)
    for note in notes:
        emit("note", text=note)
    emit("check")
    found = check_result(mux_job, path, video_sha256)
    try:
        sync_file(path)
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(path, error) from error
    return {"bytes": path.stat().st_size, **found}


def certificate_of(
    job: EncodeJob, facts: dict[str, Any], stream_format: StreamFormat, entries: list[Entry], result: dict[str, Any],
    started: float,
) -> dict[str, Any]:  # fmt: skip
    """The content of a certificate.

    ``entries``: the chunks' in the journal; ``started``: when the run began, in s of Unix time.
    """
    source = {"name": Path(job.source).name, **facts["source"]}
    script = Path(job.script).name if job.script else None
    return {
        "form": SCHEMA_VERSION, **facts, "source": source,
        "parameters": job.fingerprint() | {"script": script}, "profile": job.profile,
        "muxer": certificate.muxer_name(),
        "picture": stream_format.described(),
        "chunks": [{name: entry.get(name) for name in CHUNK_KEYS} for entry in entries], "result": result,
        "started": round(started), "finished": round(time.time()),
    }  # fmt: skip


def publish_result(job: EncodeJob, journal: Journal, *, is_checked: bool = False) -> dict[str, Any] | None:
    """Give the finished file its name, and write its certificate before that; returns what the certificate holds.

    None where the file is gone or damaged and must be written again. ``is_checked``: it was just written and read
    through. Raises: DiskError.
    """
    content: dict[str, Any] = journal.of_kind("whole")[-1]["certificate"]
    digest, size = content["result"]["sha256"], content["result"]["bytes"]
    path, output = unpublished_file(job), Path(job.output)
    is_published = output.is_file() and output.stat().st_size == size and sha256(output) == digest
    if not is_published:
        if os.path.lexists(output) and not job.overwrite:
            raise exists_already(output)
        if not (path.exists() and (is_checked or sha256(path) == digest)):
            return None
    if path.exists():
        _write_certificate(job, content)
        if not is_published:
            publish(path, output, job.overwrite)
        sync_folder(output.parent)
    return content


def _write_certificate(job: EncodeJob, content: dict[str, Any]) -> None:
    """Write it in the work folder first: what a kill leaves unfinished there goes with the folder."""
    written = job.work_folder / "certificate.json"
    write_whole(written, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
    try:
        os.replace(written, job.certificate)
    except OSError as error:
        raise disk_error(job.certificate, error) from error
