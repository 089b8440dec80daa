"""``vscugan cluster``: how to start the nodes of a cluster, and whether they agree."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from vscugan.cli.doctor_checks import device
from vscugan.cli.parser import Parser
from vscugan.errors import ArgumentError
from vscugan.install import how_to_install

HELP = "show how machines are made one cluster for encode, or check one"
LOOPBACK = "127.0.0.1"
LINES = """\
vscugan encode --cluster uses Ray (on each machine the same versions; without it: {install}).
This machine computes with {devices}.
Ray is for networks that you trust: who reaches its port, and has its token, can run programs on all nodes.

once, on the head, the machine where vscugan encode runs:
    ray get-auth-token --generate
    (copy .ray/auth_token from your home folder to that of each machine; who has no copy of it is refused)

in each terminal (Linux, macOS):
    export RAY_AUTH_MODE=token {reach}={reachable}
in each terminal (Windows PowerShell):
    $env:RAY_AUTH_MODE="token"; $env:{reach}="{reachable}"

head (in PowerShell write '{{\\"vscugan\\": 1}}'):
    ray start --head --node-ip-address {head} --port 6379 --include-dashboard false --resources '{{"vscugan": 1}}'
each other machine:
    ray start --address {head}:6379 --resources '{{"vscugan": 1}}'

"vscugan" is how many chunks a machine does at a time on its CPUs, or on a GPU that Ray does not count. Ray counts those
of NVIDIA; each does one chunk at a time. Leave --resources out where only they shall compute.

SLURM (in a job of several nodes with one home folder, after "source .venv/bin/activate"):
    head=$(hostname)
    ray start --head --node-ip-address "$head" --port 6379 --include-dashboard false
    srun --nodes $((SLURM_NNODES - 1)) --ntasks-per-node 1 --exclude "$head" \\
        ray start --address "$head:6379" --resources '{{"vscugan": 1}}' --block &
    vscugan encode season/ -o out/ --cluster auto

then, on the head:
    vscugan cluster --check auto
    vscugan encode season/ -o out/ --cluster auto
and at the end, on each machine:
    ray stop"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    head = f"address of the head (default {LOOPBACK}, which no other machine reaches)"
    parser.add_argument("--head", default=LOOPBACK, metavar="IP", help=head)
    parser.add_argument("--check", metavar="ADDRESS", help="compare versions and files on all nodes: auto or host:port")
    parser.add_argument("--file", action="append", default=[], help="with --check: a file that all nodes must see")


def run(parser: Parser, argv: Sequence[str]) -> int:
    """Run the command with its arguments; returns the exit code."""
    arguments = parser.parse(argv, ("--file",))
    from vscugan.encode.cluster.nodes import REACHABLE, connect, probe, probe_nodes, refuse_other_nodes, slots

    if not arguments.check:
        reachable = int(arguments.head != LOOPBACK)
        print(LINES.format(head=arguments.head, reach=REACHABLE, reachable=reachable, devices=device(),
                           install=how_to_install("cluster")))  # fmt: skip
        return 0
    files = [os.path.abspath(name) for name in arguments.file]
    if missing := [name for name in files if not os.path.isfile(name)]:
        raise ArgumentError(f"file must be seen here, got no {missing[0]!r}; check its name")
    connect(arguments.check)
    nodes = probe_nodes(files)
    refuse_other_nodes(nodes, probe(files))
    counts = slots()
    print(f"{len(nodes)} nodes agree: {', '.join(sorted(node.node for node in nodes))}")
    print(f"{counts['gpu']} chunks at a time on GPUs, {counts['cpu']} on CPUs")
    return 0
