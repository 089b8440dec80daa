"""Which versions a run that goes on may have otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.journal import Journal
from vscugan.encode.worker.run_facts import begin_or_compare
from vscugan.errors import ConflictError

VERSIONS = {"vscugan": "1", "vapoursynth": "R1", "torch": "1", "openvino": "1", "numpy": "1"}


@pytest.fixture
def job(tmp_path: Path) -> EncodeJob:
    """One with a work folder."""
    job = EncodeJob(source=str(tmp_path / "a.mkv"), output=str(tmp_path / "b.mkv"))
    job.work_folder.mkdir()
    return job


@pytest.fixture
def journal(job: EncodeJob) -> Iterator[Journal]:
    """An empty one."""
    journal = Journal(job.work_folder / "journal.jsonl")
    yield journal
    journal.close()


def facts(runtime: str, **versions: str) -> dict[str, Any]:
    return {
        "source": {"sha256": "0", "bytes": 1}, "script_sha256": None, "frames": 3, "encoder": {},
        "versions": VERSIONS | versions, "made_by": {"runtime": runtime},
    }  # fmt: skip


@pytest.mark.parametrize("runtime", ["tensorrt", "directml", "openvino, torch", "torch"])
def test_a_run_begun_before_its_runtime_had_a_version_goes_on(
    job: EncodeJob, journal: Journal, hdr: StreamFormat, runtime: str
) -> None:
    begin_or_compare(job, journal, facts(runtime), hdr)
    begin_or_compare(job, journal, facts(runtime, onnxruntime="1", numpy="2"), hdr)
    assert [entry["kind"] for entry in journal.entries] == ["begin"]


@pytest.mark.parametrize(
    ("runtime", "package"),
    [("tensorrt", "onnxruntime"), ("openvino, torch", "openvino"), ("openvino, torch", "torch"), ("torch", "vscugan")],
)
def test_another_version_of_what_computes_is_refused(
    job: EncodeJob, journal: Journal, hdr: StreamFormat, runtime: str, package: str
) -> None:
    begin_or_compare(job, journal, facts(runtime, **{package: "1"}), hdr)
    with pytest.raises(ConflictError) as error:
        begin_or_compare(job, journal, facts(runtime, **{package: "2"}), hdr)
    assert str(error.value) == (
        f"what makes the pictures must be as in the run before, got a difference: versions.{package} was 1, now 2; "
        "run it as before, or say --restart to throw the finished chunks away"
    )
