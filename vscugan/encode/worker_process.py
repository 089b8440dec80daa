"""The parent's side of a worker process: started where one is needed, handed jobs, listened to, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.work_folder import open_file, read_file
from vscugan.encode.worker.worker import LOG_NAME, LOG_RECORDS
from vscugan.errors import WorkerError
from vscugan.exits import describe_exit, signal_name

Listener = Callable[[dict[str, Any]], None]
STOP_S = 20.0


class StoppedError(Exception):
    """The worker was closed while a job was in work."""


class WorkerProcess:
    """A worker, which keeps its model for one job after the other.

    It runs in a session of its own, on Windows in a group of processes, so that Ctrl-C reaches only this process. After
    a job that failed the next one gets a new process: nothing that is left of the one can spoil the other. ``close``
    may be called by any thread.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None  # the worker's stdin, which hands locks over too; POSIX only
        self._is_closed, self._starting = False, threading.Lock()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def work(self, job: EncodeJob, lock: int, listen: Listener) -> int:
        """Have a job done; returns its exit code. The worker holds the ``lock``, too, until it is done with it.

        Raises: WorkerError for a worker that ends without a word, StoppedError.
        """
        with self._starting, open(_log(job), "wb") as log:
            if self._is_closed:
                raise StoppedError
            process = self._process or self._start(log)
        self._send(json.dumps(job.to_json()).encode() + b"\n", lock)
        try:
            code, is_idle = _listen(process, listen)
        except BaseException:
            self._end()
            raise
        if is_idle:
            return 0
        self._end()
        if self._is_closed:
            raise StoppedError
        if code is None:
            raise _lost(process.returncode, job.work_folder)
        return code

    def close(self) -> None:
        """End the worker and whatever it has started."""
        with self._starting:
            self._is_closed = True
        self._end()

    def _start(self, log: Any) -> subprocess.Popen[bytes]:
        command = ["-P", "-m", "vscugan.encode.worker.worker"]
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": log}
        if sys.platform == "win32":
            # an environment's python.exe only starts another one, and would hold the log open, which is to be removed;
            # multiprocessing passes by it in the same way
            python = getattr(sys, "_base_executable", sys.executable)
            variables = {} if python == sys.executable else {"__PYVENV_LAUNCHER__": sys.executable}
            self._process = subprocess.Popen(
                [python, *command], stdin=subprocess.PIPE, **options, env=os.environ | variables,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )  # fmt: skip
            return self._process
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *command], stdin=theirs.fileno(), **options, start_new_session=True
            )
        return self._process

    def _send(self, line: bytes, lock: int) -> None:
        with contextlib.suppress(OSError):  # it has ended; its exit code says why
            if sys.platform != "win32" and self._channel:
                sent = socket.send_fds(self._channel, [line], [lock])
                self._channel.sendall(line[sent:])
            elif self._process and self._process.stdin:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for end in (self._channel, process.stdin):
            with contextlib.suppress(OSError):
                if end:
                    end.close()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
        finally:  # a second Ctrl-C does not wait for a worker that hangs
            process.kill()
            process.wait()
            if sys.platform != "win32":
                # an encoder that outlived its worker; macOS refuses where all of the group have ended
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)


def _log(job: EncodeJob) -> int:
    """A descriptor of the worker's log, emptied."""
    return open_file(job.work_folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def _listen(process: subprocess.Popen[bytes], listen: Listener) -> tuple[int | None, bool]:
    """The exit code that the worker reports, and whether it waits for the next job; else it has ended."""
    code: int | None = None
    assert process.stdout
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        if event["event"] == "idle":
            return code, True
        code = {"done": 0, "estimate": 0, "error": event.get("code")}.get(event["event"], code)
        listen(event)
    process.wait()
    return code, False


def _lost(code: int, folder: Path) -> WorkerError:
    """The error for a worker that ended without reporting it: by which signal, or with the last line of its log."""
    way_out = "run the same command again to go on"
    if code >= 0:
        return WorkerError(f"worker must finish, got {describe_exit(code)}: {_last_words(folder)}; {way_out}")
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
