"""The command line's side of an encode: starts the worker, hands its events on, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vscugan.encode.container.unsupported import muxer_of
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.lock import take_lock
from vscugan.encode.job.work_folder import check_folder, open_file, read_file
from vscugan.encode.worker.worker import LOG_NAME, LOG_RECORDS
from vscugan.errors import ConflictError, DiskError, WorkerError
from vscugan.exits import UNEXPECTED, signal_name
from vscugan.files import disk_error

Listener = Callable[[dict[str, Any]], None]
STOP_S = 20.0
_POSIX = os.name == "posix"


def check_output(job: EncodeJob) -> None:
    """Refuse an output that can't be written, before anything is written.

    Raises: ArgumentError, DiskError, ConflictError.
    """
    output = Path(job.output)
    muxer_of(output)  # refuses other endings
    check_folder(job.work_folder)
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
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


@contextlib.contextmanager
def _worker(job: EncodeJob, lock: int) -> Iterator[subprocess.Popen[bytes]]:
    """The worker in a session of its own, so that Ctrl-C reaches only this process; it holds the lock too."""
    command = [sys.executable, "-P", "-m", "vscugan.encode.worker.worker"]
    with open(open_file(job.work_folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=_POSIX,
            pass_fds=(lock,) if _POSIX else (),
        )  # fmt: skip
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it has started."""
    assert process.stdin
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if _POSIX:
        with contextlib.suppress(ProcessLookupError):  # an encoder that outlived its worker
            os.killpg(process.pid, signal.SIGKILL)


def _lost(code: int, folder: Path) -> WorkerError:
    """The error for a worker that ended without reporting it: by which signal, or with the last line of its log."""
    way_out = "run the same command again to go on"
    if code >= 0:
        return WorkerError(f"worker must finish, got exit code {code}: {_last_words(folder)}; {way_out}")
    name = signal_name(code)
    if name == "SIGKILL":
        way_out = f"if memory ran out, name a smaller --memory or --tile; {way_out}"
    else:
        way_out = f"{way_out}, and report it with {folder.name}/{LOG_NAME}"
    return WorkerError(f"worker must finish, got its end by {name}; {way_out}")


def _last_words(folder: Path) -> str:
    """The last line of the log that is no record of what went well."""
    try:
        lines = read_file(folder / LOG_NAME).decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if not line.startswith(LOG_RECORDS)), "it said nothing")


def _listen(process: subprocess.Popen[bytes], job: EncodeJob, listen: Listener) -> int:
    assert process.stdin
    assert process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
        process.stdin.flush()
    code: int | None = None
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        code = {"done": 0, "error": event.get("code")}.get(event["event"], code)
        listen(event)
    process.wait()
    if code is None:
        raise _lost(process.returncode, job.work_folder)
    return code


def encode(job: EncodeJob, listen: Listener, restart: bool) -> int:
    """Run a job in a worker; returns the exit code. ``listen`` is called with each event.

    Where no chunk was finished nothing stays, but for the log of what must be reported.

    Raises: CuganError, and KeyboardInterrupt after the worker has ended.
    """
    folder = job.work_folder
    try:
        lock = take_lock(folder)
    except OSError as error:
        raise disk_error(folder, error) from error
    is_to_be_reported = False
    try:
        if restart:
            for path in folder.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        with _worker(job, lock) as worker:
            code = _listen(worker, job, listen)
        is_to_be_reported = code == UNEXPECTED
        if code == 0 and not job.keep_work:
            shutil.rmtree(folder, ignore_errors=True)
        return code
    except WorkerError:
        is_to_be_reported = True
        raise
    finally:
        if folder.exists() and not (is_to_be_reported or has_chunks(folder) or has_finished(folder)):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
