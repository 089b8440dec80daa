"""Memory that frames use again."""

from __future__ import annotations

import torch

from vscugan.runtime.workspace import Workspace

CPU = torch.device("cpu")


def test_what_is_given_back_is_handed_out_again() -> None:
    workspace = Workspace()
    first = workspace.take((1, 4, 6, 5), torch.float32, torch.contiguous_format, CPU)
    second = workspace.take((1, 4, 6, 5), torch.float32, torch.contiguous_format, CPU)
    assert first.data_ptr() != second.data_ptr()
    workspace.give(first)
    third = workspace.take((1, 5, 4, 5), torch.float32, torch.channels_last, CPU)  # fits: smaller, not by half
    assert third.data_ptr() == first.data_ptr()
    assert third.shape == (1, 5, 4, 5)
    assert third.is_contiguous(memory_format=torch.channels_last)
    workspace.give(third)
    small = workspace.take((1, 1, 2, 2), torch.float32, torch.contiguous_format, CPU)
    assert small.data_ptr() != first.data_ptr()
    workspace.give(torch.zeros(1, 1, 2, 2))  # not ours: let be
    workspace.give_all()
    again = {workspace.take((1, 4, 6, 5), torch.float32, torch.contiguous_format, CPU).data_ptr() for _ in range(2)}
    assert again == {first.data_ptr(), second.data_ptr()}


def test_a_request_is_made_once_for_each_session() -> None:
    workspace, session, other = Workspace(), object(), object()
    request: list[object] = workspace.request(session, list)
    assert workspace.request(session, list) is request
    assert workspace.request(other, list) is not request
    workspace.clear()
    assert workspace.request(session, list) is not request


def test_memory_is_bounded_by_what_a_frame_has_used() -> None:
    """A frame takes ever larger parts, none of which fits into what the one before has left."""
    workspace = Workspace()
    for size in (100, 30):  # a whole frame
        workspace.take((1, 1, size, 100), torch.float32, torch.contiguous_format, CPU)
    workspace.give_all()
    whole = workspace.bytes
    assert whole == 130 * 100 * 4
    small = workspace.take((1, 1, 1, 8), torch.float32, torch.contiguous_format, CPU)
    workspace.give(small)
    for width in range(10, 300):
        workspace.take((1, 1, 1, width), torch.float32, torch.contiguous_format, CPU)
        workspace.give_all()
        assert workspace.bytes <= whole
    workspace.clear()
    assert workspace.bytes == 0
