"""The process that does the work: reads jobs from stdin, reports events on stdout, stops when stdin ends."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import traceback
from io import TextIOWrapper
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from vscugan.encode.chunks.children import Children
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.events import EventPipe
from vscugan.encode.job.work_folder import open_file
from vscugan.errors import CuganError, DiskError
from vscugan.exits import INTERRUPTED, UNEXPECTED

LOG_NAME = "worker.log"
#: how its lines begin that are log records, unlike a traceback
LOG_RECORDS = ("DEBUG ", "INFO ", "WARNING ")
Received = tuple[bytes, list[int]]  # a job's line, and the lock that came with it


def take_stdin() -> int:
    """A descriptor of stdin, in whose place there is an empty one from now on.

    Windows lets nobody ask what stdin is while a thread reads a pipe there. NumPy's OpenBLAS asks when it is loaded, so
    that import would wait for the next job (numpy issue 24290).
    """
    taken, empty = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return taken


def _read(source: int) -> Received:
    """What is there of the parent's, and descriptors that came with it; nothing at its end."""
    if sys.platform == "win32":
        return os.read(source, 65536), []
    with socket.socket(fileno=os.dup(source)) as channel:
        piece, descriptors, *_ = socket.recv_fds(channel, 65536, 1)
    return piece, descriptors


def _receive(source: int, jobs: SimpleQueue[Received], children: Children) -> None:
    """Hand on what comes of the parent; at the end, which is the parent's wish or its death, end at once.

    Everything finished is durable already, so nothing has to be tidied up.
    """
    line, locks = b"", list[int]()
    while True:
        piece, descriptors = _read(source)
        if not piece:
            children.kill()
            os._exit(INTERRUPTED["SIGINT"])
        line, locks = line + piece, locks + descriptors
        if line.endswith(b"\n"):
            jobs.put((line, locks))
            line, locks = b"", []


def _log_to(path: Path | str) -> None:
    """Let what is printed and logged from now on go to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = open_file(Path(path), os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def _work(job: EncodeJob, emit: EventPipe, children: Children, kept: list[Any]) -> int:
    """Do a job; returns the exit code. ``kept``: see ``Run``."""
    try:
        from vscugan.encode.worker.encode_run import Run

        Run(job, emit, children, kept).work()
        return 0
    except CuganError as error:
        emit("error", message=str(error), code=error.exit_code)
        return error.exit_code
    except OSError as error:
        traceback.print_exc()
        message = f"files must be usable, got {error}; correct this, then run the same command again"
        emit("error", message=message, code=DiskError.exit_code)
        return DiskError.exit_code
    except Exception as error:
        traceback.print_exc()
        report = f"internal error, please report it with {job.work_folder.name}/{LOG_NAME}"
        emit("error", message=f"{report}: {type(error).__name__}: {error}", code=UNEXPECTED)
        return UNEXPECTED


def main() -> None:
    """Do one job after the other, until one fails or the parent has no more."""
    emit, source = EventPipe(os.dup(1)), take_stdin()
    for stream in (sys.stdout, sys.stderr):  # what a script prints; into files Python on Windows writes old code pages
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    children, jobs = Children(), SimpleQueue[Received]()
    kept: list[Any] = []
    threading.Thread(target=_receive, args=(source, jobs, children), daemon=True).start()
    while True:
        line, locks = jobs.get()
        job = EncodeJob.from_json(json.loads(line))
        _log_to(job.work_folder / LOG_NAME)  # what a script prints, too
        code = _work(job, emit, children, kept)
        children.kill()
        if code:
            sys.stderr.flush()
            os._exit(code)  # frames in flight and plugins can't hold the process up
        _log_to(os.devnull)
        for lock in locks:
            os.close(lock)
        emit("idle")


if __name__ == "__main__":
    main()
