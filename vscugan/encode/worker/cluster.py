"""Chunks on a Ray cluster: each is a task that any node can do. Scheduling, transport, retries and health are Ray's.

A node opens the source once for each of its processes, by its path or from a copy that Ray has brought, and gives back
coded chunks with their hashes. What is given back is checked, journalled and joined by the process that asked for it,
as chunks of its own are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vscugan.clip.upscale import read_report
from vscugan.encode.certificate import certificate
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkContext, ChunkSetup, start_encoding
from vscugan.encode.chunks.finish import check_encoded, keep_chunk
from vscugan.encode.chunks.pipeline import computed_ahead, feed
from vscugan.encode.chunks.progress_meter import ProgressMeter
from vscugan.encode.encoders.programs import find_encoder
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.encode_job import EncodeJob, differences
from vscugan.encode.job.journal import Entry
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import open_source, taken
from vscugan.engine.standby import wait_for_engines
from vscugan.errors import ArgumentError, ConflictError, CuganError, SourceError, WorkerError
from vscugan.files import sha256

#: Ray's name of what a node offers beside GPUs: so many chunks at a time, on its CPUs
CPU_SLOT = "vscugan"
#: what a task needs, one of them
GPU_TASK: Mapping[str, Any] = {"num_cpus": 0, "num_gpus": 1}
CPU_TASK: Mapping[str, Any] = {"num_cpus": 0, "resources": {CPU_SLOT: 1}}
#: how often a chunk is begun anew where its process or its node has died
RETRIES = 5
#: tasks that wait on the cluster, for each that is in work: the next one begins without asking here
WAITING_SHARE = 0.5
PIECE_BYTES = 64 << 20
LOOK_S = 0.5
ANSWER_S = 10.0
COPY_FOLDER = "vscugan-cluster"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the chunks of a job have in common, as the nodes are told."""

    job: EncodeJob
    stream_format: StreamFormat
    source_sha256: str
    encoder: dict[str, str]  #: its name, version and options, as the journal has them
    made_by: dict[str, str]  #: what computes frame 0 here
    pieces: tuple[Any, ...] = ()  #: of the source, as Ray's references, where the nodes don't see its path


@dataclass(frozen=True, kw_only=True)
class Made:
    """A chunk from a node."""

    entry: Entry
    content: bytes
    node: str
    made_by: dict[str, str]


def encode_chunk(work: Work, chunk: Chunk) -> Made:
    """One chunk, on a node.

    Raises: CuganError.
    """
    graph = _opened(work)
    with tempfile.TemporaryDirectory(prefix=f"{COPY_FOLDER}-") as folder:
        (Path(folder) / "temp").mkdir()
        program = find_encoder(work.job.encoder)
        _refuse_others(work.encoder, certificate.program_facts(program, work.job.encoder_arguments))
        setup = ChunkSetup(
            clip=graph.clip, stream_format=work.stream_format, program=program,
            arguments=tuple(work.job.encoder_arguments), folder=Path(folder), children=Children(), hardware={},
        )  # fmt: skip
        encoding = start_encoding(setup, chunk)
        reports: list[dict[str, str]] = []
        times = {"waiting_for_frames_s": 0.0, "handing_over_s": 0.0}
        with ThreadPoolExecutor(2) as hasher:
            frames = computed_ahead(graph.clip[chunk.start : chunk.stop], work.stream_format)
            feed(setup, encoding, frames, hasher, lambda frame: reports.append(read_report(frame.props)), times)
        made_by = reports[0]
        setup = replace(setup, hardware=certificate.hardware(made_by.get("device", "")))
        entry = check_encoded(setup, encoding)
        return Made(entry=entry, content=encoding.temp.read_bytes(), node=socket.gethostname(), made_by=made_by)


def _refuse_others(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise ConflictError where this node would make something else."""
    if changed := differences(wanted, found):
        raise ConflictError(
            f"nodes must have the same versions, got a difference on {socket.gethostname()}: {'; '.join(changed)}; "
            "install the same there"
        )


#: the graph of the job that this process does, and whose it is
_graphs: dict[str, FilterGraph] = {}


def _opened(work: Work) -> FilterGraph:
    """The graph of a job, opened and checked once in each process.

    Raises: SourceError, ConflictError.
    """
    key = json.dumps([work.source_sha256, work.job.to_json()])
    if key in _graphs:
        return _graphs[key]
    here, path = socket.gethostname(), Path(work.job.source)
    if work.pieces:
        path = _brought(work)
    elif not path.is_file():
        raise SourceError(
            f"source must be seen by all nodes, got none at {path} on {here}; share its folder under the same path, or "
            "say --ship"
        )
    source = open_source(path, lambda percent: None, bool(work.job.script))
    if source.sha256 != work.source_sha256:
        raise SourceError(f"source must be the same file on all nodes, got another on {here}; say --ship")
    wait_for_engines()
    graph = build(work.job, taken(source, work.job))
    _graphs.clear()
    _graphs[key] = graph
    return graph


def _brought(work: Work) -> Path:
    """The node's copy of the source, written by the first process that needs it."""
    import ray
    from filelock import FileLock

    folder = Path(tempfile.gettempdir()) / COPY_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{work.source_sha256}{Path(work.job.source).suffix}"
    with FileLock(f"{path}.lock"):
        if not path.exists() or sha256(path) != work.source_sha256:
            with open(path, "wb") as file:
                for piece in work.pieces:
                    file.write(ray.get(piece))
    return path


def connect(address: str) -> None:
    """Join the cluster at an address: ``auto``, ``ray://host:port``, ``host:port``, or ``local:N`` for one of our own.

    Raises: ArgumentError, WorkerError.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tasks of CPU slots see all that there is
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    kind, _, count = address.partition(":")
    if kind == "local":
        if not count.isdecimal() or not int(count):
            raise ArgumentError(
                f"cluster must be auto, host:port, ray://host:port or local:N, got {address}; see vscugan cluster"
            )
        ray.init(num_cpus=int(count), resources={CPU_SLOT: int(count)}, **options)
        return
    try:
        _check_port(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise ArgumentError(
            f"cluster must answer, got {str(error).splitlines()[0]} from {address}; see vscugan cluster"
        ) from error


def _check_port(address: str) -> None:
    """Raise OSError or ValueError where nobody answers, for which Ray waits some minutes."""
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), ANSWER_S).close()


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What must agree on all nodes: versions, and the files that a job names, by their sha256 (None: not there)."""

    node: str
    versions: dict[str, str]
    files: dict[str, str | None]


def probe(files: Sequence[str]) -> NodeFacts:
    """The facts of the node that this runs on."""
    found = {name: sha256(Path(name)) if os.path.isfile(name) else None for name in files}
    return NodeFacts(node=socket.gethostname(), versions=certificate.versions(), files=found)


def probe_nodes(files: Sequence[str]) -> list[NodeFacts]:
    """Those of each node of the cluster that can do chunks."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0)(probe)
    nodes = [node for node in ray.nodes() if node["Alive"] and {"GPU", CPU_SLOT} & node["Resources"].keys()]
    return list(ray.get([
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(list(files))
        for node in nodes
    ]))  # fmt: skip


def refuse_other_nodes(nodes: Sequence[NodeFacts], here: NodeFacts) -> None:
    """Raise ConflictError for a node that would make something else than this machine."""
    for found in nodes:
        shared = found.versions.keys() & here.versions.keys()
        old, new = ({n: facts.versions[n] for n in shared} for facts in (here, found))
        if changed := differences(old | here.files, new | found.files):
            raise ConflictError(
                f"nodes must have the same versions and files, got a difference on {found.node}: "
                f"{'; '.join(changed)}; install or share the same there"
            )


def slots() -> dict[str, int]:
    """How many chunks the cluster can do at a time, on GPUs and on CPUs."""
    import ray

    found = ray.cluster_resources()
    return {"gpu": int(found.get("GPU", 0)), "cpu": int(found.get(CPU_SLOT, 0))}


def _pieces(path: Path) -> Iterator[Any]:
    import ray

    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield ray.put(piece)


class Cluster:
    """The tasks of one job: which are in flight, and what comes of them."""

    def __init__(self, context: ChunkContext, work: Work, progress: ProgressMeter, *, same_bits: bool) -> None:
        import ray

        self.ray, self.context, self.progress, self.same_bits = ray, context, progress, same_bits
        self.work = ray.put(work)
        self.made_by = work.made_by
        task = ray.remote(max_retries=RETRIES, retry_exceptions=False)(encode_chunk)
        self.tasks = {"gpu": task.options(**GPU_TASK), "cpu": task.options(**CPU_TASK)}
        self.in_flight: dict[Any, tuple[Chunk, str]] = {}

    def encode(self, chunks: Sequence[Chunk]) -> None:
        """Have all chunks done.

        Raises: CuganError.
        """
        waiting = deque(chunks)
        while waiting or self.in_flight:
            self._submit(waiting)
            if not self.in_flight:
                raise WorkerError(
                    f"cluster must have GPUs, or nodes with the resource {CPU_SLOT}, got none; see vscugan cluster"
                )
            ready, _ = self.ray.wait(list(self.in_flight), num_returns=1, timeout=LOOK_S)
            for reference in ready:
                chunk, _ = self.in_flight.pop(reference)
                self._keep(chunk, self._result(chunk, reference))

    def _submit(self, waiting: deque[Chunk]) -> None:
        """Keep each kind of slot busy, with some tasks waiting."""
        for kind, count in slots().items():
            most = count + -int(-count * WAITING_SHARE // 1)
            while waiting and sum(k == kind for _, k in self.in_flight.values()) < most:
                chunk = waiting.popleft()
                self.in_flight[self.tasks[kind].remote(self.work, chunk)] = chunk, kind

    def _result(self, chunk: Chunk, reference: Any) -> Made:
        try:
            made: Made = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CuganError):
                raise error.cause from error
            raise
        except self.ray.exceptions.RayError as error:
            raise WorkerError(
                f"chunk {chunk.number} must be done by a node, got {str(error).splitlines()[0]}; run the same command "
                "again to go on"
            ) from error
        return made

    def _keep(self, chunk: Chunk, made: Made) -> None:
        """Write a chunk down, as one of our own."""
        if self.same_bits and (changed := differences(self.made_by, made.made_by)):
            raise ConflictError(
                f"nodes must compute the same bits, got a difference on {made.node}: {'; '.join(changed)}; leave out "
                "--same-bits, or that node"
            )
        path = self.context.temp_folder / made.entry["file"]
        if hashlib.sha256(made.content).hexdigest() != made.entry["sha256"]:
            raise WorkerError(f"chunk {chunk.number} must arrive whole, got other bytes from {made.node}")
        path.write_bytes(made.content)
        keep_chunk(self.context, made.entry | {"node": made.node, "made_by": made.made_by})
        self.progress.finished(int(made.entry["bytes"]))
        for _ in range(chunk.frames):
            self.progress.frame(None)


def encode_on_cluster(
    context: ChunkContext, job: EncodeJob, chunks: Sequence[Chunk], progress: ProgressMeter, facts: Mapping[str, Any]
) -> dict[str, float]:
    """Have the chunks done by a cluster; ``facts``: those of the run. Returns how long was spent in waiting, in s."""
    if not chunks:
        return {}
    import ray

    started = time.monotonic()
    connect(job.cluster)
    try:
        named = [name for name in (job.script, job.options.get("weights")) if name]
        files = [*named, *(() if job.ship else (job.source,))]
        refuse_other_nodes(probe_nodes(files), probe(files))
        work = Work(
            job=replace(job, cluster=""), stream_format=context.stream_format,
            source_sha256=facts["source"]["sha256"], encoder=facts["encoder"], made_by=facts["made_by"],
            pieces=tuple(_pieces(Path(job.source))) if job.ship else (),
        )  # fmt: skip
        Cluster(context, work, progress, same_bits=job.same_bits).encode(chunks)
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
    return {"on_cluster_s": time.monotonic() - started}
