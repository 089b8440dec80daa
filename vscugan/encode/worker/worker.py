"""The process that does the work: reads a job from stdin, reports events on stdout, stops when stdin ends."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback

from vscugan.encode.chunks.children import Children
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.events import EventPipe
from vscugan.errors import CuganError, DiskError
from vscugan.exits import INTERRUPTED, UNEXPECTED

LOG_NAME = "worker.log"
#: how its lines begin that are log records, unlike a traceback
LOG_RECORDS = ("DEBUG ", "INFO ", "WARNING ")


def _stop_with_parent(children: Children) -> None:
    """Wait for the end of stdin, which is the parent's wish or its death, and end at once.

    Everything finished is durable already, so nothing has to be tidied up.
    """
    while os.read(0, 4096):
        pass
    children.kill()
    os._exit(INTERRUPTED["SIGINT"])


def _read_job() -> EncodeJob:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece:
            os._exit(INTERRUPTED["SIGINT"])
        line += piece
    return EncodeJob.from_json(json.loads(line))


def main() -> int:
    """Work on the job; returns the exit code."""
    emit = EventPipe(os.dup(1))
    os.dup2(2, 1)  # what a script prints goes to the log
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    children = Children()
    job = _read_job()
    threading.Thread(target=_stop_with_parent, args=(children,), daemon=True).start()
    try:
        from vscugan.encode.worker.encode_run import Run

        Run(job, emit, children).work()
        code = 0
    except CuganError as error:
        code = error.exit_code
        emit("error", message=str(error), code=code)
    except OSError as error:
        code = DiskError.exit_code
        traceback.print_exc()
        message = f"files must be usable, got {error}; correct this, then run the same command again"
        emit("error", message=message, code=code)
    except Exception as error:
        code = UNEXPECTED
        traceback.print_exc()
        report = f"internal error, please report it with {job.work_folder.name}/{LOG_NAME}"
        emit("error", message=f"{report}: {type(error).__name__}: {error}", code=code)
    children.kill()
    sys.stderr.flush()
    os._exit(code)  # frames in flight and plugins can't hold the process up


if __name__ == "__main__":
    main()
