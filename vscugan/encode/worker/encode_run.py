"""One run of an encode, from the plan to the finished file; it may be killed at any moment and goes on next time."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.certificate import certificate
from vscugan.encode.certificate.certificate import fingerprint
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk, chunk_frames, cut
from vscugan.encode.chunks.pipeline import Job, encode_chunks, recover
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.chunks.trial import try_encoder
from vscugan.encode.container import matroska, mux
from vscugan.encode.container import streams as container
from vscugan.encode.container.video import CodedChunk
from vscugan.encode.encoders.programs import check_arguments, check_format, find_encoder, settings, unsupported_light
from vscugan.encode.encoders.stream_format import StreamFormat, stream_format_of
from vscugan.encode.job.events import Emit
from vscugan.encode.job.encode_job import EncodeJob, refuse_differences, wanted, write_plan
from vscugan.encode.job.journal import Entry, Journal
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import Source, open_source
from vscugan.encode.source.source_file import check_readable, identity
from vscugan.errors import FrameError, PlanError, SourceError
from vscugan.files import disk_error, sha256, sync_file, sync_folder, write_whole


def _described(stream_format: StreamFormat) -> Any:
    """The picture as it is read from the journal."""
    return json.loads(json.dumps(stream_format.described()))


def _computed(graph: FilterGraph, n: int) -> vs.VideoFrame:
    """A frame of the clip.

    Raises: FrameError.
    """
    try:
        return graph.clip.get_frame(n)
    except vs.Error as error:
        raise FrameError(f"frame must be computed, got {error}; finished chunks are kept") from error


class Run:
    """One run; ``work`` returns when the output is there, or raises a CuganError."""

    def __init__(self, job: EncodeJob, emit: Emit, children: Children) -> None:
        self.job, self.emit, self.children = job, emit, children
        self.source_path, self.output = Path(job.source), Path(job.output)
        self.folder = job.work_folder
        self.started = time.time()

    def work(self) -> None:
        """Do everything that is not done yet."""
        for name in ("chunks", "temp"):
            (self.folder / name).mkdir(exist_ok=True)
        journal = Journal(self.folder / "journal.jsonl")
        try:
            if journal.of_kind("whole"):
                check_readable(self.source_path)
                self._refuse_other_inputs(journal.of_kind("begin")[0], self._inputs(sha256(self.source_path)))
                if self._publish(journal):
                    return
                journal.append({"kind": "unpublished"})
            self._make(journal)
        finally:
            journal.close()

    def _make(self, journal: Journal) -> None:
        check_readable(self.source_path)
        format = container.muxer(self.output)
        program = find_encoder(self.job.encoder)
        check_arguments(program, self.job.encoder_arguments)
        before = identity(self.source_path)
        source = open_source(self.source_path, lambda p: self.emit("index", percent=p), bool(self.job.script))
        left, header = self._check_container(source, format, program.row.codec if program.row else None)
        self.emit("model")
        graph = build(self.job, source)
        n = self._first_missing(journal, graph)
        first = _computed(graph, n)
        made_by = self._made_by(journal, graph, n, first)
        stream_format = self._picture(journal, graph, n, first)
        check_format(program, stream_format)
        facts = self._facts(graph, program, source.sha256, made_by)
        job = Job(
            clip=graph.clip, stream_format=stream_format, program=program, arguments=tuple(self.job.encoder_arguments),
            format=format, folder=self.folder, journal=journal, children=self.children, emit=self.emit,
            first=(n, first), made_by=made_by, hardware=certificate.hardware(made_by.get("device", "")),
        )  # fmt: skip
        if not journal.of_kind("chunk"):  # whose encoder took its arguments
            try_encoder(program, job.arguments, stream_format, job.temp_folder, self.children.add)
        self._compare(journal, facts, stream_format)
        for note in (*source.notes, *graph.notes, *unsupported_light(program, stream_format)):
            self.emit("note", text=note)
        entries, times = self._encode(job, graph)
        if identity(self.source_path) != before:
            raise SourceError(
                f"source must stay as it is during the encode, got {self.source_path.name!r} changed or gone; put the "
                "old file back and run the same command again, or say --restart"
            )
        facts |= {"timings": times, "source": facts["source"] | source.damage.described()}
        self._finish(job, graph, source, header, left, entries, facts)

    def _chunks(self, graph: FilterGraph) -> tuple[Chunk, ...]:
        return cut(graph.clip.num_frames, chunk_frames(self.job.chunk_s, graph.rate, self.job.grid_frames))

    def _first_missing(self, journal: Journal, graph: FilterGraph) -> int:
        """The first frame that is to be computed, as far as the journal tells; 0 where there is none."""
        finished = {entry["chunk"] for entry in journal.of_kind("chunk")}
        return next((chunk.start for chunk in self._chunks(graph) if chunk.number not in finished), 0)

    def _picture(self, journal: Journal, graph: FilterGraph, n: int, frame: vs.VideoFrame) -> StreamFormat:
        """The picture of frame 0, which is not computed for it where frame ``n``, computed anyway, has the same."""
        stream_format = stream_format_of(graph.clip, frame.props, graph.rate)
        if not n or any(entry.get("picture") == _described(stream_format) for entry in journal.of_kind("begin")):
            return stream_format
        with _computed(graph, 0) as begin:
            return stream_format_of(graph.clip, begin.props, graph.rate)

    def _made_by(self, journal: Journal, graph: FilterGraph, n: int, frame: vs.VideoFrame) -> dict[str, str]:
        """What frame 0 tells of what computes it; it is computed for that only where frame ``n`` tells another thing.

        In a script's clip each frame may.
        """
        report = read_report(frame.props)
        if not n or any(entry["facts"]["made_by"] == certificate.made_by_fingerprint(report) for entry in journal.of_kind("begin")):
            return report
        with _computed(graph, 0) as begin:
            return read_report(begin.props)

    def _check_container(
        self, source: Source, format: str, codec: str | None
    ) -> tuple[tuple[container.Track, ...], matroska.Header | None]:
        """Refuse what the output can't hold; returns the streams that are left out, and the header to be put back."""
        left = container.unsupported_streams(self.source_path, source.stream, format)
        lost = [track.label for track in left] + list(container.unsupported_tags(self.source_path, left, format))
        header, beyond = self._source_header()
        if header is None or format != "matroska":
            lost += beyond
            header = None
        container.refuse_unsupported(lost, self.output, self.job.leave_out)
        for label in lost:
            self.emit("note", text=f"{label} is left out, as asked")
        if codec == "ffv1" and format == "mp4":
            raise PlanError("output must hold the encoder's video, got .mp4, which can't hold FFV1; write a .mkv")
        return left, header

    def _source_header(self) -> tuple[matroska.Header | None, tuple[str, ...]]:
        """The source's header where it can be put back, and what is lost where it is not."""
        try:
            header = matroska.read_header(self.source_path)
            beyond = header.beyond_libav() if header else ()
        except ValueError as error:
            self.emit("note", text=matroska.left_to_libav(f"there is {error}"))
            return None, ()
        if header is None or header.is_of(container.tracks(self.source_path)):
            return header, beyond
        self.emit("note", text=matroska.left_to_libav("it finds other tracks"))
        return None, beyond

    def _inputs(self, digest: str) -> dict[str, Any]:
        """The files that the pictures are made of; ``digest`` is the source's."""
        script = self.job.script
        return {
            "source": {"sha256": digest, "bytes": self.source_path.stat().st_size},
            "script_sha256": sha256(Path(script)) if script else None,
        }

    def _facts(self, graph: FilterGraph, program: Any, digest: str, made_by: dict[str, str]) -> dict[str, Any]:
        return {
            **self._inputs(digest),
            "frames": graph.clip.num_frames,
            "versions": certificate.versions(),
            "encoder": certificate.program_facts(program, self.job.encoder_arguments),
            "made_by": certificate.made_by_fingerprint(made_by),
        }

    def _refuse_other_inputs(self, begin: Entry, facts: dict[str, Any]) -> None:
        """Raise PlanError where parameters, source or script are not those of the run before."""
        refuse_differences(begin["plan"], wanted(self.job), "parameters")
        for name in ("source", "script_sha256"):
            what = name.removesuffix("_sha256")
            refuse_differences({name: begin["facts"].get(name)}, {name: facts[name]}, what)

    def _compare(self, journal: Journal, facts: dict[str, Any], stream_format: StreamFormat) -> None:
        """Compare with what the run before wrote down, or write it down."""
        for entry in journal.of_kind("begin")[:1]:
            self._refuse_other_inputs(entry, facts)
            refuse_differences(fingerprint(entry["facts"]), fingerprint(facts), "what makes the pictures")
            return
        write_plan(self.job)
        journal.append({"kind": "begin", "plan": wanted(self.job), "facts": facts, "picture": _described(stream_format)})

    def _encode(self, job: Job, graph: FilterGraph) -> tuple[list[Entry], dict[str, float]]:
        chunks = self._chunks(graph)
        whole, lost = recover(job, chunks)
        missing = [chunk for chunk in chunks if chunk.number not in whole]
        done = sum(chunk.frames for chunk in chunks if chunk.number in whole)
        self.emit(
            "plan", frames=graph.clip.num_frames, chunks=len(chunks), width=graph.clip.width, height=graph.clip.height,
            encoder=job.program.name, inside_ffmpeg=job.program.is_ffmpeg, format=job.stream_format.format_name,
            settings=shlex.join(settings(job.program, job.arguments)),
            rate=str(graph.rate), vfr=not graph.timeline.is_constant, made_by=job.made_by,
        )  # fmt: skip
        if whole or lost or job.journal.torn:
            self.emit("found", chunks=len(whole), of=len(chunks), frames=done, damaged=lost, torn=job.journal.torn)
        progress = ProgressMeter(self.emit, frames=graph.clip.num_frames, done=done)
        progress.finished(sum(entry["bytes"] for entry in whole.values()))
        start = time.monotonic()
        times = encode_chunks(job, missing, progress)
        times["encoding_s"] = time.monotonic() - start
        latest = {entry["chunk"]: entry for entry in job.journal.of_kind("chunk")}
        return [latest[chunk.number] for chunk in chunks], {name: round(value, 3) for name, value in times.items()}

    def _finish(
        self, job: Job, graph: FilterGraph, source: Source, header: matroska.Header | None,
        left: tuple[container.Track, ...], entries: list[Entry], facts: dict[str, Any],
    ) -> None:  # fmt: skip
        """Write, check and publish the file, and its certificate before it."""
        lost = {track.index for track in left}
        kept = [t for t in container.tracks(self.source_path) if t.index not in lost and t.kind != "data"]
        # covers and fonts stand behind the tracks in every container
        kept.sort(key=lambda t: (t.kind == "attachment", bool(t.disposition & container.COVER)))
        chunks = tuple(
            CodedChunk(path=job.chunk_folder / e["file"], start=e["start"], order=tuple(e["order"])) for e in entries
        )
        muxed = mux.MuxJob(
            source=self.source_path, video=source.stream, kept=tuple(kept), chunks=chunks, timeline=graph.timeline,
            stream_format=job.stream_format, format=job.format, header=header, contents=source.contents,
        )  # fmt: skip
        temp = self._temp
        temp.unlink(missing_ok=True)
        self.emit("mux")
        notes, video = mux.mux(muxed, temp, self.children.add)
        for note in notes:
            self.emit("note", text=note)
        self.emit("check")
        found = mux.check_result(muxed, temp, video)
        try:
            sync_file(temp)
            sync_folder(temp.parent)
        except OSError as error:
            raise disk_error(temp, error) from error
        result = {"bytes": temp.stat().st_size, **found}
        job.journal.append({"kind": "whole", "certificate": self._certificate(job, graph, facts, entries, result)})
        self._publish(job.journal, is_checked=True)

    @property
    def _temp(self) -> Path:
        return self.folder / f"result{self.output.suffix}"

    def _certificate(
        self, job: Job, graph: FilterGraph, facts: dict[str, Any], entries: list[Entry], result: dict[str, Any]
    ) -> dict[str, Any]:
        names = ("chunk", "start", "stop", "bytes", "sha256", "seconds", "hardware", "tile", "frames", "sketches")
        source = {"name": self.source_path.name, **facts["source"]}
        script = self.job.script
        return {
            "form": certificate.SCHEMA_VERSION, **facts, "source": source,
            "parameters": wanted(self.job) | {"script": Path(script).name if script else None},
            "muxer": certificate.muxer_name(), "picture": job.stream_format.described(), "made_by": job.made_by,
            "chunks": [{name: entry.get(name) for name in names} for entry in entries], "result": result,
            "started": round(self.started), "finished": round(time.time()),
        }  # fmt: skip

    def _publish(self, journal: Journal, *, is_checked: bool = False) -> bool:
        """Give the finished file its name; returns False where it is gone or damaged and must be made again.

        ``is_checked``: it is the file that was just written and read through.
        """
        content = journal.of_kind("whole")[-1]["certificate"]
        digest, size = content["result"]["sha256"], content["result"]["bytes"]
        output = self.output
        is_published = output.is_file() and output.stat().st_size == size and sha256(output) == digest
        if not is_published:
            if os.path.lexists(output) and not self.job.overwrite:
                raise mux.exists_already(output)
            if not (self._temp.exists() and (is_checked or sha256(self._temp) == digest)):
                return False
        if self._temp.exists():
            write_whole(self.job.certificate, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
            if not is_published:
                mux.publish(self._temp, output, self.job.overwrite)
            sync_folder(output.parent)
        self.emit(
            "done", output=output.name, bytes=size, frames=content["result"]["frames"],
            seconds=round(time.time() - self.started, 1), certificate=self.job.certificate.name,
        )  # fmt: skip
        return True
