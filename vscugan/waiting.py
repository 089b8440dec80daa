"""Waiting for a result so that a signal ends it: on Windows Ctrl-C ends no wait without a limit, up to Python 3.13."""

from __future__ import annotations

from concurrent.futures import Future, wait

#: how long to wait at a time
WAIT_S = 0.2


def result_of[T](future: Future[T]) -> T:
    """What a future comes to.

    Raises: what the future does, and what a signal's handler does meanwhile.
    """
    while not wait([future], WAIT_S).done:
        pass
    return future.result()
