"""Memory that frames use again."""

from __future__ import annotations

from vscugan.runtime.workspace import ALIGNMENT_BYTES, Buffer, Workspace


def address(buffer: Buffer) -> int:
    return int(buffer.ctypes.data)


def test_what_is_given_back_is_handed_out_again() -> None:
    workspace = Workspace()
    first, second = workspace.take(480), workspace.take(480)
    assert address(first) != address(second)
    assert (first.size, address(first) % ALIGNMENT_BYTES) == (480, 0)
    workspace.give(address(first))
    third = workspace.take(400)  # fits: smaller, not by half
    assert (address(third), third.size) == (address(first), 400)
    workspace.give(address(third))
    small = workspace.take(16)
    assert address(small) != address(first)
    workspace.give(1)  # not ours: let be
    workspace.give_all()
    again = {address(workspace.take(480)) for _ in range(2)}
    assert again == {address(first), address(second)}


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
        workspace.take(size * 400)
    workspace.give_all()
    whole = workspace.bytes
    assert whole == 130 * 100 * 4
    small = workspace.take(32)
    workspace.give(address(small))
    for width in range(10, 300):
        workspace.take(width * 4)
        workspace.give_all()
        assert workspace.bytes <= whole
    workspace.clear()
    assert workspace.bytes == 0
