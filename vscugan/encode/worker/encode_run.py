"""One run of an encode, from the job to the finished file; it may be killed at any moment and goes on next time."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.encode.certificate import certificate
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk, chunk_frames, cut
from vscugan.encode.chunks.encoding import ChunkContext
from vscugan.encode.chunks.estimate import estimate, sample_chunks, take_sample
from vscugan.encode.chunks.finish import recover
from vscugan.encode.chunks.pipeline import encode_chunks
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.chunks.trial import try_encoder
from vscugan.encode.container.kept_streams import KeptStreams, keep_streams
from vscugan.encode.container.matroska_header import Header, left_to_libav
from vscugan.encode.container.mux import MuxJob
from vscugan.encode.container.output_name import muxer_of
from vscugan.encode.container.video import CodedChunk
from vscugan.encode.encoders.command_line import encoder_options
from vscugan.encode.encoders.programs import (
    Program,
    check_arguments,
    check_format,
    find_encoder,
    unsupported_light,
)
from vscugan.encode.job.encode_job import EncodeJob
from vscugan.encode.job.events import Emit
from vscugan.encode.job.journal import Entry, Journal
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import Source, open_source, taken
from vscugan.encode.source.source_file import check_readable, identity
from vscugan.encode.worker.finished_file import certificate_of, publish_result, write_result
from vscugan.encode.worker.first_frame import FirstFrame, compute_first
from vscugan.encode.worker.run_facts import begin_or_compare, input_facts, refuse_other_inputs, run_facts
from vscugan.engine.standby import wait_for_engines
from vscugan.errors import ConflictError, SourceError
from vscugan.files import sha256


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run is made of, opened and checked."""

    source: Source
    kept: KeptStreams
    header: Header | None  #: of the source, as far as it is put back
    program: Program
    muxer: str  #: of the output, as libav calls it
    graph: FilterGraph
    chunks: tuple[Chunk, ...]
    first: FirstFrame


class Run:
    """One run; ``work`` returns when the output is there, or raises a CuganError.

    ``kept``: the graph of the run before in this process, whose model is in memory until that of this one is built.
    """

    def __init__(self, job: EncodeJob, emit: Emit, children: Children, kept: list[FilterGraph] | None = None) -> None:
        self.job, self.emit, self.children = job, emit, children
        self._kept = [] if kept is None else kept
        self.source_path, self.output = Path(job.source), Path(job.output)
        self.started = time.time()

    def work(self) -> None:
        """Do everything that is not done yet."""
        folder = self.job.work_folder
        for name in ("chunks", "temp"):
            (folder / name).mkdir(exist_ok=True)
        journal = Journal(folder / "journal.jsonl")
        try:
            if journal.of_kind("whole"):
                check_readable(self.source_path)
                facts = input_facts(self.job, sha256(self.source_path))
                refuse_other_inputs(self.job, journal.of_kind("begin")[0], facts)
                if self._publish(journal):
                    return
                journal.append({"kind": "unpublished"})
            self._make(journal)
        finally:
            journal.close()

    def _make(self, journal: Journal) -> None:
        """Encode what is missing, and finish the file."""
        check_readable(self.source_path)
        muxer, program = muxer_of(self.output), find_encoder(self.job.encoder)
        check_arguments(program, self.job.encoder_arguments)
        before = identity(self.source_path)
        inputs = self._open(journal, muxer, program)
        context = self._context(journal, inputs)
        facts = run_facts(self.job, program, inputs.graph.clip.num_frames, inputs.source.sha256, inputs.first.made_by)
        if not journal.of_kind("chunk"):  # whose encoder took its arguments
            try_encoder(program, context.arguments, context.stream_format, context.temp_folder, self.children.add)
        begin_or_compare(self.job, journal, facts, context.stream_format)
        for note in (*inputs.source.notes, *inputs.graph.notes, *unsupported_light(program, context.stream_format)):
            self._note(note)
        if self.job.dry_run:
            self._estimate(context, inputs)
            return
        entries, times = self._encode(context, inputs, facts)
        if identity(self.source_path) != before:
            raise SourceError(
                f"source must stay as it is during the encode, got {self.source_path.name!r} changed or gone; put the "
                "old file back and run the same command again, or say --restart"
            )
        facts = facts | {
            "timings": times, "source": facts["source"] | inputs.source.damage.described(),
            "made_by": inputs.first.made_by,
        }  # fmt: skip
        result = write_result(self.job, self._mux_job(context, inputs, entries), self.emit, self.children)
        content = certificate_of(self.job, facts, context.stream_format, entries, result, self.started)
        journal.append({"kind": "whole", "certificate": content})
        self._publish(journal, is_checked=True)

    def _estimate(self, context: ChunkContext, inputs: Inputs) -> None:
        """Say what would be done, what is kept, and about how long it takes."""
        self._plan(context, inputs)
        self.emit("kept", tracks=[track.label for track in inputs.kept.tracks if track.index != inputs.source.stream])
        frames = inputs.graph.clip.num_frames
        samples = [take_sample(context, chunk) for chunk in sample_chunks(frames, self.job.grid_frames)]
        self.emit("estimate", **estimate(samples, frames, inputs.chunks[0].frames))

    def _note(self, text: str) -> None:
        self.emit("note", text=text)

    def _open(self, journal: Journal, muxer: str, program: Program) -> Inputs:
        """Open the source and build the clip; refuse what the output can't hold or the encoder does not take."""
        whole = open_source(self.source_path, lambda p: self.emit("index", percent=p), bool(self.job.script))
        source = taken(whole, self.job)
        kept = keep_streams(self.source_path, source.stream, self.output, leave_out=self.job.leave_out, note=self._note)
        if program.row and program.row.codec == "ffv1" and muxer == "mp4":
            raise ConflictError("output must hold the encoder's video, got .mp4, which can't hold FFV1; write a .mkv")
        self.emit("model")
        wait_for_engines()  # a run that goes on, and a check, must have the same bits
        graph = build(self.job, source)
        self._kept[:] = [graph]
        chunks = cut(graph.clip.num_frames, chunk_frames(self.job.chunk_s, graph.rate, self.job.grid_frames))
        first = compute_first(graph, chunks, journal)
        check_format(program, first.stream_format)
        return Inputs(
            source=source, kept=kept, header=self._header(kept, source), program=program, muxer=muxer, graph=graph,
            chunks=chunks, first=first,
        )  # fmt: skip

    def _context(self, journal: Journal, inputs: Inputs) -> ChunkContext:
        first = inputs.first
        return ChunkContext(
            clip=inputs.graph.clip, stream_format=first.stream_format, program=inputs.program,
            arguments=tuple(self.job.encoder_arguments), muxer=inputs.muxer, folder=self.job.work_folder,
            journal=journal, children=self.children, emit=self.emit, computed=(first.number, first.frame),
            hardware=certificate.hardware(first.made_by.get("device", "")),
        )  # fmt: skip

    def _plan(self, context: ChunkContext, inputs: Inputs) -> None:
        graph, chunks = inputs.graph, inputs.chunks
        options = shlex.join(encoder_options(context.program, context.arguments))
        self.emit(
            "plan", frames=graph.clip.num_frames, chunks=len(chunks), width=graph.clip.width, height=graph.clip.height,
            encoder=context.program.name, inside_ffmpeg=context.program.is_ffmpeg,
            format=context.stream_format.format_name, settings=options,
            rate=str(graph.rate), vfr=not graph.timeline.is_constant, made_by=inputs.first.made_by,
        )  # fmt: skip

    def _encode(
        self, context: ChunkContext, inputs: Inputs, facts: dict[str, Any]
    ) -> tuple[list[Entry], dict[str, float]]:
        """Encode the chunks that are missing; returns the entries of all, and how long it took, in s."""
        graph, chunks, journal = inputs.graph, inputs.chunks, context.journal
        whole, lost = recover(context, chunks)
        missing = [chunk for chunk in chunks if chunk.number not in whole]
        done = sum(chunk.frames for chunk in chunks if chunk.number in whole)
        self._plan(context, inputs)
        if whole or lost or journal.torn:
            self.emit("found", chunks=len(whole), of=len(chunks), frames=done, damaged=lost, torn=journal.torn)
        progress = ProgressMeter(self.emit, frames=graph.clip.num_frames, done=done)
        progress.finished(sum(entry["bytes"] for entry in whole.values()))
        start, times = time.monotonic(), dict[str, float]()
        if self.job.cluster:
            from vscugan.encode.cluster.cluster import encode_on_cluster

            encode_on_cluster(context, self.job, missing, progress, facts, inputs.first.made_by)
        else:
            times = encode_chunks(context, missing, progress)
        times["encoding_s"] = time.monotonic() - start
        latest = {entry["chunk"]: entry for entry in journal.of_kind("chunk")}
        return [latest[chunk.number] for chunk in chunks], {name: round(value, 3) for name, value in times.items()}

    def _mux_job(self, context: ChunkContext, inputs: Inputs, entries: list[Entry]) -> MuxJob:
        chunks = tuple(
            CodedChunk(path=context.chunk_folder / entry["file"], start=entry["start"], order=tuple(entry["order"]))
            for entry in entries
        )
        return MuxJob(
            source=self.source_path, video=inputs.source.stream, kept=inputs.kept.tracks, chunks=chunks,
            timeline=inputs.graph.timeline, stream_format=context.stream_format, muxer=inputs.muxer,
            header=inputs.header, contents=inputs.source.contents, span=inputs.source.span,
        )  # fmt: skip

    def _header(self, kept: KeptStreams, source: Source) -> Header | None:
        """What is put back of the source's header, with the chapters of the part that is taken."""
        header, span = kept.header, source.span
        if header is None or span is None:
            return header
        try:
            return header.cut(span)
        except ValueError as error:
            self._note(left_to_libav(f"there is {error}"))
            return None

    def _publish(self, journal: Journal, *, is_checked: bool = False) -> bool:
        """Publish the finished file; returns False where it must be written again."""
        content = publish_result(self.job, journal, is_checked=is_checked)
        if content is None:
            return False
        self.emit(
            "done", output=self.output.name, bytes=content["result"]["bytes"], frames=content["result"]["frames"],
            seconds=round(time.time() - self.started, 1), certificate=self.job.certificate.name,
        )  # fmt: skip
        return True
