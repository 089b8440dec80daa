"""Waits that a signal ends."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Timer

import pytest

from vscugan import waiting
from vscugan.waiting import result_of


def test_a_result_is_waited_for_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    real = waiting.wait

    def wait(futures: list[Future[int]], seconds: float) -> object:
        steps.append(seconds)
        return real(futures, seconds)

    monkeypatch.setattr(waiting, "wait", wait)
    monkeypatch.setattr(waiting, "WAIT_S", 0.01)
    future: Future[int] = Future()
    Timer(0.1, future.set_result, [7]).start()
    assert result_of(future) == 7
    assert len(steps) > 1
    assert set(steps) == {0.01}


def test_its_error_is_raised() -> None:
    future: Future[int] = Future()
    future.set_exception(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        result_of(future)
