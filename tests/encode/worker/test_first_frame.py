"""What a run computes before it begins, and which frame decides on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from vscugan.encode.chunks.chunk import cut
from vscugan.encode.container.timeline import Timeline
from vscugan.encode.encoders.stream_format import StreamFormat, stream_format_of
from vscugan.encode.job.journal import Journal
from vscugan.encode.source.filter_graph import FilterGraph
from vscugan.encode.worker.first_frame import compute_first
from vscugan.encode.worker.run_facts import as_in_journal
from vscugan.errors import ClipError, FrameError

RATE = Fraction(24)
CHUNKS = cut(6, 2)
CHUNK = {"bytes": 0, "sha256": "", "codec": "", "header_sha256": "", "order": [0, 1], "frames": ["", ""],
         "sketches": ["", ""], "hardware": {}, "tile": None, "seconds": 0.0}  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty one."""
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


def graph_of(core: Any, props: Callable[[int], dict[str, Any]], requests: list[int]) -> FilterGraph:
    """Six frames with the props that ``props`` gives each; every frame that is computed is noted in ``requests``."""

    def answer(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        requests.append(n)
        frame = f.copy()
        for name, value in props(n).items():
            frame.props[name] = value
        return frame

    clip = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=6)
    clip = clip.std.ModifyFrame(clip, answer)
    clip.std.SetVideoCache(mode=0)  # a frame that is asked for twice is computed twice
    return FilterGraph(clip=clip, timeline=Timeline(base=1 / RATE, ticks=tuple(range(6)), last_ticks=1), rate=RATE)


def begin(journal: Journal, made_by: dict[str, str], picture: StreamFormat) -> None:
    facts: dict[str, Any] = {"source": {}, "versions": {}, "made_by": made_by}
    journal.append({"kind": "begin", "plan": {}, "facts": facts, "picture": as_in_journal(picture)})


def finish(journal: Journal, *numbers: int) -> None:
    for n in numbers:
        journal.append(
            {"kind": "chunk", "chunk": n, "start": 2 * n, "stop": 2 * n + 2, "file": f"{n:06d}.mkv", **CHUNK}
        )


def format_of(graph: FilterGraph, **props: Any) -> StreamFormat:
    return stream_format_of(graph.clip, props, RATE)


def test_the_first_run_computes_frame_0_alone(core: Any, journal: Journal) -> None:
    requests: list[int] = []
    graph = graph_of(core, lambda n: {"CuganRuntime": f"r{n}", "_Matrix": 6}, requests)
    first = compute_first(graph, CHUNKS, journal)
    assert (first.number, first.made_by, first.stream_format.matrix) == (0, {"runtime": "r0"}, 6)
    assert requests == [0]
    first.frame.close()


def test_a_run_that_goes_on_computes_what_is_missing_alone(core: Any, journal: Journal) -> None:
    requests: list[int] = []
    graph = graph_of(core, lambda n: {"CuganRuntime": "r", "CuganTile": f"{n}", "_Matrix": 6}, requests)
    begin(journal, {"runtime": "r"}, format_of(graph, _Matrix=6))
    finish(journal, 0, 2)
    first = compute_first(graph, CHUNKS, journal)
    assert (first.number, first.made_by, first.stream_format.matrix) == (2, {"runtime": "r", "tile": "2"}, 6)
    assert requests == [2]
    first.frame.close()


def test_frame_0_decides_where_the_missing_one_says_another_thing(core: Any, journal: Journal) -> None:
    """It is computed once, also where both the report and the stream format are other ones."""
    requests: list[int] = []
    graph = graph_of(core, lambda n: {"CuganRuntime": "r"} | ({} if n else {"_Matrix": 1}), requests)
    begin(journal, {"runtime": "r"}, format_of(graph, _Matrix=1))
    finish(journal, 0)
    first = compute_first(graph, CHUNKS, journal)
    assert (first.number, first.made_by, first.stream_format.matrix) == (2, {"runtime": "r"}, 1)
    assert requests == [2, 0]
    first.frame.close()
    requests.clear()
    graph = graph_of(core, lambda n: {"_Matrix": 9} if n else {"CuganRuntime": "r", "_Matrix": 1}, requests)
    first = compute_first(graph, CHUNKS, journal)
    assert (first.number, first.made_by, first.stream_format.matrix) == (2, {"runtime": "r"}, 1)
    assert requests == [2, 0]
    first.frame.close()


def test_finished_chunks_leave_frame_0(core: Any, journal: Journal) -> None:
    """A journal of another clip's chunks, and one without a beginning's picture, as an older version wrote it."""
    requests: list[int] = []
    graph = graph_of(core, lambda n: {"CuganRuntime": "r", "_Matrix": 6}, requests)
    journal.append({"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {"runtime": "r"}}})
    finish(journal, 0, 1, 2, 99)
    first = compute_first(graph, CHUNKS, journal)
    assert (first.number, requests) == (0, [0])
    first.frame.close()


@pytest.mark.parametrize("broken", [0, 2])
def test_a_frame_that_cannot_be_computed(core: Any, journal: Journal, broken: int) -> None:
    def props(n: int) -> dict[str, Any]:
        if n == broken:
            raise RuntimeError("no light")
        return {"CuganRuntime": "r"}

    graph = graph_of(core, props, [])
    begin(journal, {"runtime": "other"}, format_of(graph))
    finish(journal, 0)
    with pytest.raises(FrameError, match=r"(?s)^frame must be computed, got .*no light.*; finished chunks are kept$"):
        compute_first(graph, CHUNKS, journal)


def test_a_format_that_no_encoder_takes(core: Any, journal: Journal) -> None:
    clip = core.std.BlankClip(format=vs.RGBS, width=64, height=48, length=6)
    graph = FilterGraph(clip=clip, timeline=Timeline(base=1 / RATE, ticks=tuple(range(6)), last_ticks=1), rate=RATE)
    with pytest.raises(ClipError, match="got RGBS; "):
        compute_first(graph, CHUNKS, journal)
