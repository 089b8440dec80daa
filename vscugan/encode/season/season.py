"""A queue of encodes: each a job of its own, so that one bad file stops no other and a second call goes on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vscugan.encode.certificate.certificate_file import is_certified
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.supervise import check_output, encode
from vscugan.encode.worker_process import Listener, StoppedError, WorkerProcess
from vscugan.errors import CuganError, DiskError
from vscugan.exits import UNEXPECTED
from vscugan.files import disk_error
from vscugan.waiting import WAIT_S

DONE, THERE, FAILED, MISSING, ESTIMATED = "done", "there", "failed", "missing", "estimated"


@dataclass(kw_only=True)
class Outcome:
    """What became of one file.

    ``state``: done now, there already of the same source and options, failed, still missing, or only estimated.
    """

    source: str
    output: str
    state: str = MISSING
    code: int = 0  #: as that of ``encode`` with this file alone
    message: str = ""  #: why it failed
    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Season:
    """Jobs, and what becomes of them.

    ``listen`` is called with each event, which names its file: ``source``, ``file`` (its number from 1 on) and
    ``files``. ``at_once``: so many jobs, each in a worker process with a model of its own.
    """

    def __init__(self, jobs: Sequence[EncodeJob], listen: Listener, *, at_once: int, restart: bool) -> None:
        self.outcomes = [Outcome(source=job.source, output=job.output) for job in jobs]
        self._listen, self._restart = listen, restart
        self._waiting = deque(zip(range(1, len(jobs) + 1), jobs, self.outcomes, strict=True))
        self._workers = [WorkerProcess() for _ in range(min(at_once, len(jobs)))]
        self._lock = threading.Lock()

    def run(self) -> int:
        """Do all of them; returns the highest exit code.

        Raises: KeyboardInterrupt after the workers have ended.
        """
        with ThreadPoolExecutor(len(self._workers)) as lanes:
            running: list[Future[None]] = [lanes.submit(self._run_lane, worker) for worker in self._workers]
            try:
                while not all(lane.done() for lane in running):
                    time.sleep(WAIT_S)
            finally:
                self._waiting.clear()
                for worker in self._workers:
                    worker.close()
            for lane in running:
                lane.result()
        return max((outcome.code for outcome in self.outcomes), default=0)

    def _run_lane(self, worker: WorkerProcess) -> None:
        """Do one job after the other, until there are no more."""
        while True:
            try:
                number, job, outcome = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._do(number, job, outcome, worker)
            except StoppedError:
                return
            except CuganError as error:
                outcome.code, outcome.message = error.exit_code, str(error)
            except OSError as error:
                outcome.code, outcome.message = DiskError.exit_code, f"files must be usable, got {error}; correct this"
            except Exception as error:
                outcome.code, outcome.message = UNEXPECTED, f"internal error, {type(error).__name__}: {error}"
            outcome.state = FAILED if outcome.code else outcome.state
            self._tell(number, job, {"event": "file", **outcome.to_json()})

    def _do(self, number: int, job: EncodeJob, outcome: Outcome, worker: WorkerProcess) -> None:
        job.check()
        if is_certified(job) and (job.keep_work or not job.work_folder.exists()):
            outcome.state = THERE
            return
        if not job.dry_run:
            try:
                Path(job.output).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise disk_error(Path(job.output).parent, error) from error
        check_output(job)

        def listen(event: dict[str, Any]) -> None:
            if event["event"] == "error":
                outcome.message = event["message"]
            elif event["event"] == "done":
                outcome.state = DONE
            elif event["event"] == "estimate":
                outcome.state = ESTIMATED
            if event["event"] in ("done", "estimate"):
                outcome.frames, outcome.bytes, outcome.seconds = event["frames"], event["bytes"], event["seconds"]
            self._tell(number, job, event)

        outcome.code = encode(job, listen, worker, restart=self._restart)

    def _tell(self, number: int, job: EncodeJob, event: dict[str, Any]) -> None:
        with self._lock:
            self._listen(event | {"source": job.source, "file": number, "files": len(self.outcomes)})
