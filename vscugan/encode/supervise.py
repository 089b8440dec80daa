"""The command line's side of an encode: has a worker do it, hands its events on, and leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from vscugan.encode.container.output_name import muxer_of
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.lock import empty_folder, release, take_lock
from vscugan.encode.job.work_folder import check_folder, read_file
from vscugan.encode.worker_process import Listener, WorkerProcess
from vscugan.errors import ConflictError, DiskError, WorkerError
from vscugan.exits import UNEXPECTED
from vscugan.files import disk_error, nearest_folder


def check_output(job: EncodeJob) -> None:
    """Refuse an output that can't be written, before anything is written.

    Raises: ArgumentError, DiskError, ConflictError.
    """
    output = Path(job.output)
    muxer_of(output)  # refuses other endings
    check_folder(job.work_folder)
    parent = nearest_folder(output.parent) if job.dry_run else output.parent  # which makes none
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise DiskError(f"folder of the output must be writable, got {output.parent.name!r}; make it, or its rights")
    if output.exists() and os.path.exists(job.source) and os.path.samefile(output, job.source):
        raise ConflictError(f"output must not be the source, got {output.name!r}; name another file")
    if output.is_dir() or (output.exists() and not job.overwrite and not has_finished(job.work_folder)):
        raise ConflictError(f"output must not exist yet, got {output.name!r}; name another one, or say --overwrite")


def _journal_has(folder: Path, kind: str) -> bool:
    try:
        return f'{{"kind":"{kind}"'.encode() in read_file(folder / "journal.jsonl")
    except OSError:
        return False


def has_chunks(folder: Path) -> bool:
    """Whether a work folder holds finished chunks."""
    return _journal_has(folder, "chunk")


def has_finished(folder: Path) -> bool:
    """Whether a work folder belongs to an encode that was finished, but not tidied up."""
    return _journal_has(folder, "whole")


def encode(job: EncodeJob, listen: Listener, worker: WorkerProcess, *, restart: bool) -> int:
    """Run a job in the worker; returns the exit code. ``listen`` is called with each event.

    Where no chunk was finished nothing stays, but for the log of what must be reported. A dry run is one in a folder of
    its own, and leaves what is there as it is.

    Raises: CuganError; StoppedError where the worker was closed meanwhile.
    """
    if not job.dry_run:
        return _encode(job, listen, worker, restart)
    with tempfile.TemporaryDirectory(prefix="vscugan-", ignore_cleanup_errors=True) as folder:
        return _encode(replace(job, output=str(Path(folder) / Path(job.output).name)), listen, worker, restart)


def _encode(job: EncodeJob, listen: Listener, worker: WorkerProcess, restart: bool) -> int:
    folder = job.work_folder
    try:
        lock = take_lock(folder)
    except OSError as error:
        raise disk_error(folder, error) from error
    code: int | None = None
    is_to_be_reported = False
    try:
        if restart:
            empty_folder(folder)
        code = worker.work(job, lock, listen)
        is_to_be_reported = code == UNEXPECTED
        return code
    except WorkerError:
        is_to_be_reported = True
        raise
    finally:
        is_done = code == 0 and not job.keep_work
        is_needed = is_to_be_reported or has_chunks(folder) or has_finished(folder)
        release(folder, lock, remove=is_done or not is_needed)
