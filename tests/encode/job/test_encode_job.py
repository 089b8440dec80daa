"""A job's values: what binds a run that goes on, and how differences are named."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from vscugan.encode.chunks.chunk import chunk_frames
from vscugan.encode.job.encode_job import NULLABLE, EncodeJob, differences, refuse_differences
from vscugan.errors import ArgumentError, ConflictError
from vscugan.settings import Settings


def test_differences_are_named() -> None:
    old = {"options": {"noise": "denoise1x"}, "encoder": "x265"}
    new = {"options": {"noise": "denoise3x", "scale": 2}, "encoder": "x265"}
    assert differences(old, new) == ["noise was denoise1x, now denoise3x", "scale was left out, now 2"]


def test_differences_write_nothing_on_a_terminal() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    old = {"versions": {"a\x1b[2J": "1\x1b[1A\nright\u202e"}, "made_by": {"b": nested}, "c": 10**9999}
    assert differences(old, {}) == [
        "c was a int, now left out", "made-by.b was a list, now left out",
        r"versions.a\x1b[2J was 1\x1b[1A\nright\u202e, now left out",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [("reuse", "still"), ("segment", 12), ("threshold", 1.5), ("gates", "scene")]
)
def test_each_option_of_reuse_is_in_the_fingerprint(name: str, value: object) -> None:
    before = EncodeJob(source="a", output="b")
    after = EncodeJob(source="a", output="b", options={name: value})
    with pytest.raises(ConflictError) as error:
        refuse_differences(before.fingerprint(), after.fingerprint(), "parameters")
    assert f"{name} was left out, now {value}" in str(error.value)


def test_chunks_begin_where_segments_do() -> None:
    for segment in (2, 5, 24, 100, 240):
        job = EncodeJob(source="a", output="b", options={"reuse": "still", "segment": segment})
        assert job.grid_frames == segment
        for seconds in (0.1, 1, 10, 33.3):
            step = chunk_frames(seconds, Fraction(24000, 1001), job.grid_frames)
            assert step % segment == 0
            assert abs(step - seconds * 24) <= max(segment, 1)
    assert EncodeJob(source="a", output="b", options={"reuse": "still"}).grid_frames == Settings.segment


def test_null_is_an_option_left_out_where_it_always_was() -> None:
    job = EncodeJob.from_json({"source": "a", "output": "b", "options": dict.fromkeys(NULLABLE)})
    assert job.options == dict.fromkeys(NULLABLE)
    for name in Settings.__dataclass_fields__.keys() - {*NULLABLE, "report"}:
        with pytest.raises(ArgumentError, match=f"^options must be those of Upscale, got {name} of another type; "):
            EncodeJob.from_json({"source": "a", "output": "b", "options": {name: None}})
