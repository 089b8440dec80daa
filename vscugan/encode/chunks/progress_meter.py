"""How far a run is: frames, speed now and on the whole, the time that remains, share reused, size so far."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from vscugan.encode.job.events import Emit

REPORT_EVERY_S = 0.5
#: the speed "now" is that of so many last seconds; a cluster's frames come chunk by chunk
NOW_S, CLUSTER_NOW_S = 10.0, 120.0


class ProgressMeter:
    """Counts frames and reports how far they are, at most twice a second."""

    def __init__(self, emit: Emit, *, frames: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock = emit, clock
        self._frames, self._before, self._done = frames, done, done
        self._start = self._reported = clock()
        self._recent: deque[tuple[float, int]] = deque([(self._start, done)])
        self._reused, self._reuse_count = 0.0, 0
        self._bytes, self._lock = 0, threading.Lock()
        self._cluster: dict[str, Any] | None = None

    def finished(self, bytes_written: int) -> None:
        """A chunk of so many bytes is finished; called by the threads that finish chunks."""
        with self._lock:
            self._bytes += bytes_written

    def frame(self, reused: float | None) -> None:
        """One frame more went into the encoder.

        ``reused`` is the share of it that was not computed, None where frames do not report it.
        """
        if reused is not None:
            self._reused += reused
            self._reuse_count += 1
        self.frames(1)

    def frames(self, count: int, cluster: dict[str, Any] | None = None) -> None:
        """So many frames more are done; ``cluster``: the fps of each node, and how many chunks are in flight."""
        self._done += count
        self._cluster = cluster
        now = self._clock()
        if now - self._reported >= REPORT_EVERY_S or self._done == self._frames:
            self._reported = now
            self._report(now)

    def _report(self, now: float) -> None:
        self._recent.append((now, self._done))
        while len(self._recent) > 2 and now - self._recent[0][0] > (CLUSTER_NOW_S if self._cluster else NOW_S):
            self._recent.popleft()
        then, count = self._recent[0]
        mean = (self._done - self._before) / max(now - self._start, 1e-9)
        fps = (self._done - count) / max(now - then, 1e-9)
        self._emit(
            "progress", frames=self._done, of=self._frames, fps=round(fps, 3), fps_mean=round(mean, 3),
            eta_s=round((self._frames - self._done) / max(fps, 1e-9), 1), bytes=self._bytes,
            reused=round(self._reused / self._reuse_count, 4) if self._reuse_count else None, cluster=self._cluster,
        )  # fmt: skip
