"""Pictures while a runtime builds its engines: another runtime computes them, and each picture is of one of the two.

In a script what is computed meanwhile is shown earlier, and differs in the last bits. Where the same run must give the
same bits, ``wait_for_engines`` has the engines built before the first frame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from vscugan.runtime.protocol import Runtime

#: How long a picture waits for an engine: one that was kept from an earlier process loads within it, so that the first
#: picture is computed as all others are. It does not wait while another build is at work, which may take minutes.
GRACE_S = 10.0

_one_build = threading.Lock()  #: two at a time would spoil each other's measurements, and need memory for both
_waits = threading.Event()


def wait_for_engines() -> None:
    """From now on, everything in this process waits for its engines, and is computed by them."""
    _waits.set()


class Build:
    """What is built for one kind of picture, in a thread of its own; ``error``: why it is not there once it is done."""

    def __init__(self, build: Callable[[], object]) -> None:
        self.done, self.error = threading.Event(), ""
        self.started, self.seconds = time.monotonic(), 0.0
        self.reported: set[str] = set()
        self._waits_until = self.started + (0.0 if _one_build.locked() else GRACE_S)
        # a process does not wait for it at its end
        threading.Thread(target=self._run, args=(build,), name="vscugan-build", daemon=True).start()

    def _run(self, build: Callable[[], object]) -> None:
        try:
            from vscugan.runtime.cuda_graphs import captures_paused

            with _one_build, captures_paused():
                build()
        except Exception as error:  # whatever a runtime has against it
            self.error = str(error) or type(error).__name__
        self.seconds = time.monotonic() - self.started
        self.done.set()

    def wait(self) -> bool:
        """Wait as long as a kept engine may take; returns whether the build has succeeded."""
        return self.done.wait(max(0.0, self._waits_until - time.monotonic())) and not self.error


class Standby:
    """Which of two runtimes computes a picture: ``quick``, until ``builder`` has built what such pictures need.

    ``notify`` is told once for each kind of picture that one builds and when the other takes over, by the thread of a
    picture. Safe to call from several threads.
    """

    def __init__(self, quick: Runtime, builder: Runtime, notify: Callable[[str], None]) -> None:
        self.quick, self.builder, self._notify = quick, builder, notify
        self._builds: dict[Hashable, Build] = {}
        self._lock = threading.Lock()

    def choose(self, kind: Hashable, what: str, build: Callable[[], object]) -> Runtime:
        """The runtime for a picture. ``kind``: what engines depend on, ``what``: in words; ``build``: makes them."""
        with self._lock:
            if kind not in self._builds:
                self._builds[kind] = Build(build)
            begun = self._builds[kind]
        is_ready = begun.wait()
        self._report(begun, what)
        if _waits.is_set():
            begun.done.wait()
            return self.builder  # where the build has failed, it says why
        return self.builder if is_ready else self.quick

    def _report(self, begun: Build, what: str) -> None:
        quick, builder = self.quick.name, self.builder.name
        if not begun.done.is_set():
            so_far = "frames wait for it" if _waits.is_set() else f"{quick} computes meanwhile"
            text = f"{builder} builds an engine for {what}, which may take minutes: {so_far}"
        elif begun.error:
            text = f"{builder} could not build an engine for {what}: {begun.error}"
            text += "" if _waits.is_set() else f"; {quick} computes"
        elif begun.reported:
            text = f"{builder} computes from now on: its engine for {what} was built within {begun.seconds:.0f} s"
        else:
            return  # nobody was told of a build
        with self._lock:
            if text in begun.reported:
                return
            begun.reported.add(text)
        self._notify(text)
