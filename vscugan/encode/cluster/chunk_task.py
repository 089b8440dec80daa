"""A node's side: one chunk, computed and encoded by a process that keeps the source and the model open for the next."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vapoursynth as vs

from vscugan.clip.upscale import read_report
from vscugan.encode.certificate import certificate
from vscugan.encode.chunks.children import Children
from vscugan.encode.chunks.chunk import Chunk
from vscugan.encode.chunks.encoding import ChunkSetup, start_encoding
from vscugan.encode.chunks.finish import check_encoded
from vscugan.encode.chunks.pipeline import computed_ahead, feed
from vscugan.encode.cluster.nodes import NodeFacts, probe, refuse_other_nodes
from vscugan.encode.encoders.programs import find_encoder
from vscugan.encode.encoders.stream_format import StreamFormat
from vscugan.encode.job.encode_job import EncodeJob, differences
from vscugan.encode.job.journal import Entry
from vscugan.encode.source.filter_graph import FilterGraph, build
from vscugan.encode.source.source import open_source, taken
from vscugan.engine.standby import wait_for_engines
from vscugan.errors import ConflictError, SourceError
from vscugan.files import sha256

#: where a node has its copies of sources and its unfinished chunks, in its folder of temporary files, by its user
FOLDER = "vscugan-cluster"
#: what is left there of processes that died, and copies that no chunk has read for so long, goes
STALE_S = 2 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the chunks of a job have in common, as the nodes are told."""

    job: EncodeJob
    stream_format: StreamFormat
    source_sha256: str
    here: NodeFacts  #: of the machine that asks, without its source
    encoder: dict[str, str]  #: its name, version and options, as the journal has them
    pieces: tuple[Any, ...] = ()  #: of the source, as Ray's references, where the nodes don't see its path


@dataclass(frozen=True, kw_only=True)
class Made:
    """A chunk from a node."""

    entry: Entry  #: for the journal
    content: bytes  #: the coded file
    node: str  #: the name of its host
    made_by: dict[str, str]  #: what has computed its first frame


def encode_chunk(work: Work, chunk: Chunk) -> Made:
    """Make one chunk.

    Raises: CuganError.
    """
    graph = _opened(work)
    with tempfile.TemporaryDirectory(prefix="chunk-", dir=_folder(), ignore_cleanup_errors=True) as folder:
        (Path(folder) / "temp").mkdir()
        program = find_encoder(work.job.encoder)
        facts = certificate.program_facts(program, work.job.encoder_arguments)
        if changed := differences(work.encoder, facts):
            raise ConflictError(
                f"nodes must have the same encoder, got a difference on {socket.gethostname()}: {'; '.join(changed)}; "
                "install the same there"
            )
        frames = computed_ahead(graph.clip[chunk.start : chunk.stop], work.stream_format)
        reports: list[Mapping[str, str]] = []

        def report(frame: vs.VideoFrame) -> None:
            if not reports:
                reports.append(read_report(frame.props))
            _touch(work, Path(folder))

        setup = ChunkSetup(
            clip=graph.clip, stream_format=work.stream_format, program=program,
            arguments=tuple(work.job.encoder_arguments), folder=Path(folder), children=Children(),
        )  # fmt: skip
        encoding = start_encoding(setup, chunk)
        with ThreadPoolExecutor(2) as hasher:
            feed(setup, encoding, frames, hasher, report, defaultdict(float))
        made_by = dict(reports[0])
        entry = check_encoded(setup, encoding) | {"hardware": certificate.hardware(made_by.get("device", ""))}
        return Made(entry=entry, content=encoding.temp.read_bytes(), node=socket.gethostname(), made_by=made_by)


#: the graph of the job that this process does, by what names the job
_graphs: dict[str, FilterGraph] = {}


def _opened(work: Work) -> FilterGraph:
    """The graph of a job, opened and checked once in each process.

    Raises: SourceError, CuganError.
    """
    key = json.dumps([work.source_sha256, work.job.to_json()])
    if key not in _graphs:
        _remove_stale()
        refuse_other_nodes([probe(list(work.here.files))], work.here)
        path = _copy(work) if work.pieces else Path(work.job.source)
        here = socket.gethostname()
        if not path.is_file():
            raise SourceError(
                f"source must be seen by all nodes, got none at {path} on {here}; share its folder under the same "
                "path, or say --ship"
            )
        source = open_source(path, lambda percent: None, bool(work.job.script))
        if source.sha256 != work.source_sha256:
            raise SourceError(f"source must be the same file on all nodes, got another on {here}; say --ship")
        wait_for_engines()
        graph = build(work.job, taken(source, work.job))
        _graphs.clear()
        _graphs[key] = graph
    return _graphs[key]


def _touch(work: Work, folder: Path) -> None:
    """Say that these are in use."""
    os.utime(folder)
    if work.pieces:
        os.utime(_copy_path(work))


def _folder() -> Path:
    """This user's folder.

    Raises: ConflictError.
    """
    folder = Path(tempfile.gettempdir()) / f"{FOLDER}-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if sys.platform != "win32" and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        raise ConflictError(f"folder of unfinished chunks must be your own, got {folder} of another; remove it")
    return folder


def _copy_path(work: Work) -> Path:
    return _folder() / f"{work.source_sha256}{Path(work.job.source).suffix}"


def _copy(work: Work) -> Path:
    """The node's copy of the source, written by the first of its processes that needs it."""
    import ray
    from filelock import FileLock  # which Ray needs itself

    path = _copy_path(work)
    with FileLock(f"{path}.lock"):
        if not path.exists() or sha256(path) != work.source_sha256:
            with open(path, "wb") as file:
                for piece in work.pieces:
                    file.write(ray.get(piece))
    return path


def _remove_stale() -> None:
    """Remove what nobody uses any more."""
    for path in _folder().iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
