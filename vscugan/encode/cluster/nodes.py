"""A Ray cluster's nodes: how it is joined, what its nodes can do, and whether they agree with this machine."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vscugan.encode.certificate import certificate
from vscugan.encode.job.encode_job import differences
from vscugan.engine.device_choice import gpus
from vscugan.errors import ArgumentError, ConflictError, WorkerError
from vscugan.files import sha256
from vscugan.install import how_to_install

#: Ray's name of what a node offers beside GPUs: so many chunks at a time, on its CPUs
CPU_SLOT = "vscugan"
#: Ray's variable, on all systems: whether other machines reach its ports
REACHABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
ANSWER_S, JOIN_S = 10.0, 60.0


def connect(address: str) -> None:
    """Join the cluster at an address: ``auto``, ``ray://host:port``, ``host:port``, or ``local:N`` for one of our own.

    That one listens on this machine's own address alone. Raises: ArgumentError.
    """
    kind, _, count = address.partition(":")
    if kind == "local":
        os.environ[REACHABLE] = "0"  # read when ray is imported
    try:
        import ray
    except ImportError as error:
        raise ArgumentError(f"cluster must have Ray, got none installed; {how_to_install('cluster')}") from error
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if kind == "local":
        if not count.isdecimal() or not int(count):
            raise ArgumentError(
                f"cluster must be auto, host:port, ray://host:port or local:N, got {address}; see vscugan cluster"
            )
        own = {"address": "local", "num_cpus": int(count), "resources": {CPU_SLOT: int(count)}}
        ray.init(include_dashboard=False, **own, **quiet)
        return
    try:
        _check_port(address)
        ray.init(address=address, **quiet)
    except (ImportError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ArgumentError(
            f"cluster must answer, got {str(error).splitlines()[0]} from {address}; see vscugan cluster"
        ) from error


def _check_port(address: str) -> None:
    """Raise OSError or ValueError where nobody answers, for which Ray waits some minutes."""
    if address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not port.isdecimal():
            raise ValueError("no port")
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What should agree on all nodes."""

    node: str  #: its host's name
    versions: dict[str, str]  #: of packages
    files: dict[str, str | None]  #: sha256 of the files that a job names; None: not there
    hardware: dict[str, str]  #: processors, which may have other last bits


def probe(files: Sequence[str]) -> NodeFacts:
    """The facts of the machine that this runs on."""
    devices = ", ".join(f"gpu:{n}" for n, gpu in enumerate(gpus()) if not gpu.adapter.is_software)
    return NodeFacts(
        node=socket.gethostname(), versions=certificate.versions(), hardware=certificate.hardware(devices),
        files={name: sha256(Path(name)) if os.path.isfile(name) else None for name in files},
    )  # fmt: skip


def probe_nodes(files: Sequence[str]) -> list[NodeFacts]:
    """Those of each node of the cluster that can do chunks; the first of them may take a while to join.

    Raises: WorkerError where there is none, ConflictError for a node that can't say.
    """
    import ray

    end = time.monotonic() + JOIN_S
    while not any(slots().values()):
        if time.monotonic() > end:
            raise WorkerError(
                f"cluster must have GPUs, or nodes with the resource {CPU_SLOT}, got none; see vscugan cluster"
            )
        time.sleep(1.0)
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0)(probe)
    nodes = [node for node in ray.nodes() if node["Alive"] and {"GPU", CPU_SLOT} & node["Resources"].keys()]
    found = []
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        found.append((node["NodeManagerHostname"], task.options(scheduling_strategy=there).remote(list(files))))
    return [_answer(*each) for each in found]


def _answer(node: str, reference: Any) -> NodeFacts:
    import ray

    try:
        facts: NodeFacts = ray.get(reference)
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise ConflictError(f"nodes must have vscugan, got {last!r} on {node}; install it there") from error
    return facts


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


def processors(nodes: Sequence[NodeFacts]) -> str:
    """For people: which processors nodes have, where they are not all the same; empty where they are."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        found.setdefault("; ".join(node.hardware.values()), []).append(node.node)
    if len(found) < 2:
        return ""
    return ", ".join(f"{kind} ({', '.join(sorted(set(names)))})" for kind, names in found.items())


def slots() -> dict[str, int]:
    """How many chunks the cluster can do at a time, on GPUs and on CPUs."""
    import ray

    found = ray.cluster_resources()
    return {"gpu": int(found.get("GPU", 0)), "cpu": int(found.get(CPU_SLOT, 0))}
