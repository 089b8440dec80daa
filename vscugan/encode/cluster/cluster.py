"""The side that asks: hands chunks to a cluster's nodes, and keeps what they give back as chunks of its own."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkContext
from vscugan.encode.chunks.finish import keep_chunk
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.cluster.chunk_task import Made, Work, encode_chunk
from vscugan.encode.cluster.nodes import (
    CPU_SLOT,
    connect,
    probe,
    probe_nodes,
    processors,
    refuse_other_nodes,
    slots,
)
from vscugan.encode.job.encode_job import EncodeJob, differences
from vscugan.errors import ConflictError, CuganError, WorkerError

#: what a task needs, one of them
NEEDS: Mapping[str, Mapping[str, Any]] = {
    "gpu": {"num_cpus": 0, "num_gpus": 1},
    "cpu": {"num_cpus": 0, "resources": {CPU_SLOT: 1}},
}
#: how often a chunk is begun anew where its process or its node has died
RETRIES = 5
PIECE_BYTES = 64 << 20
LOOK_S = 0.5
#: what may be another on each node: it decides on the last bits alone
NODE_FACTS = ("runtime", "device", "precision", "tile", "halo")


class Cluster:
    """The tasks of one job: which are in flight, and what comes of them.

    ``made_by``: what computes frame 0 here, None where each frame may be made otherwise; ``task``: the function that
    makes a chunk of ``work``.
    """

    def __init__(
        self, context: ChunkContext, work: Any, made_by: Mapping[str, str] | None, progress: ProgressMeter, *,
        same_bits: bool = False, task: Any = encode_chunk,
    ) -> None:  # fmt: skip
        import ray

        self._ray, self._context, self._progress = ray, context, progress
        self._made_by, self._may_differ = made_by, () if same_bits else NODE_FACTS
        self._work = ray.put(work)
        remote = ray.remote(max_retries=RETRIES, retry_exceptions=False)(task)
        self._tasks = {kind: remote.options(**needs) for kind, needs in NEEDS.items()}
        self._in_flight: dict[Any, tuple[Chunk, str]] = {}
        self._frames_by_node: Counter[str] = Counter()
        self._started = time.monotonic()

    def encode(self, chunks: Sequence[Chunk]) -> None:
        """Have all chunks done.

        Raises: CuganError.
        """
        waiting = deque(chunks)
        while waiting or self._in_flight:
            self._submit(waiting)
            if not self._in_flight:  # no node is left, for now
                time.sleep(LOOK_S)
                continue
            references = list(self._in_flight)
            self._ray.wait(references, timeout=LOOK_S)  # for one; many may be there by now
            for reference in self._ray.wait(references, num_returns=len(references), timeout=0)[0]:
                chunk, _ = self._in_flight.pop(reference)
                self._keep(chunk, self._result(chunk, reference))

    def _submit(self, waiting: deque[Chunk]) -> None:
        """Keep each slot busy, and let as many tasks wait, so that the next ones begin without asking here.

        Towards the end none waits for slow slots where fast ones of the other kind become free.
        """
        counts, busy = slots(), Counter(kind for _, kind in self._in_flight.values())
        ahead = 1 if all(counts.values()) and len(waiting) < sum(counts.values()) else 2
        for kind, count in counts.items():
            for _ in range(min(ahead * count - busy[kind], len(waiting))):
                chunk = waiting.popleft()
                self._in_flight[self._tasks[kind].remote(self._work, chunk)] = chunk, kind

    def _result(self, chunk: Chunk, reference: Any) -> Made:
        try:
            made: Made = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CuganError):
                raise error.cause from error
            raise
        except self._ray.exceptions.RayError as error:
            raise WorkerError(
                f"chunk {chunk.number} must be done by a node, got {str(error).splitlines()[0]}; run the same command "
                "again to go on"
            ) from error
        return made

    def _keep(self, chunk: Chunk, made: Made) -> None:
        """Write a chunk down, as one of our own.

        Raises: ConflictError, WorkerError, EncoderError, DiskError.
        """
        if self._made_by is not None:
            self._refuse_other_pictures(self._made_by, made)
        if hashlib.sha256(made.content).hexdigest() != made.entry["sha256"]:
            raise WorkerError(
                f"chunk {chunk.number} must arrive whole, got other bytes from {made.node}; run the same command again"
            )
        (self._context.temp_folder / made.entry["file"]).write_bytes(made.content)
        keep_chunk(self._context, made.entry | {"node": made.node, "made_by": made.made_by})
        self._frames_by_node[made.node] += chunk.frames
        elapsed = time.monotonic() - self._started
        speeds = {node: round(count / elapsed, 3) for node, count in sorted(self._frames_by_node.items())}
        self._progress.finished(int(made.entry["bytes"]))
        self._progress.frames(chunk.frames, cluster={"nodes": speeds, "chunks": len(self._in_flight)})

    def _refuse_other_pictures(self, ours: Mapping[str, str], made: Made) -> None:
        """Raise ConflictError for a chunk that something else has made than what computes here."""
        before, after = (
            {name: value for name, value in facts.items() if name not in self._may_differ}
            for facts in (ours, made.made_by)
        )
        if changed := differences(before, after):
            what = "pictures" if self._may_differ else "bits"
            raise ConflictError(
                f"nodes must compute the same {what}, got a difference on {made.node}: {'; '.join(changed)}; leave "
                f"{'that node' if self._may_differ else '--same-bits or that node'} out"
            )


def encode_on_cluster(
    context: ChunkContext, job: EncodeJob, chunks: Sequence[Chunk], progress: ProgressMeter, facts: Mapping[str, Any],
    made_by: Mapping[str, str],
) -> None:  # fmt: skip
    """Have the chunks done by the job's cluster; ``facts``: those of the run; ``made_by``: what computes frame 0.

    Raises: CuganError.
    """
    if not chunks:
        return
    connect(job.cluster)
    import ray

    try:
        named = [name for name in (job.script, job.options.get("weights")) if name]
        source = {} if job.ship else {job.source: facts["source"]["sha256"]}
        nodes, here = probe_nodes([*named, *source]), probe(named)
        refuse_other_nodes(nodes, replace(here, files=here.files | source))
        if different := processors(nodes):
            if job.same_bits:
                raise ConflictError(
                    f"nodes must compute the same bits, got {different}; leave out --same-bits or some of the nodes"
                )
            context.emit("note", text=f"nodes have different processors, and so other last bits: {different}")
        work = Work(
            job=replace(job, cluster=""), stream_format=context.stream_format, encoder=facts["encoder"], here=here,
            source_sha256=facts["source"]["sha256"], pieces=tuple(_pieces(Path(job.source))) if job.ship else (),
        )  # fmt: skip
        Cluster(context, work, None if job.script else made_by, progress, same_bits=job.same_bits).encode(chunks)
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()


def _pieces(path: Path) -> Iterator[Any]:
    import ray

    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield ray.put(piece)
