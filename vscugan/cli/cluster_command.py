"""``vscugan cluster``: how to start the nodes of a cluster, and whether they agree."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vscugan.cli.parser import Parser

HELP = "show how machines are made one cluster for encode, or check one"
LOOPBACK = "127.0.0.1"
LINES = """\
vscugan encode --cluster uses Ray (pip install "vscugan[cluster]", on each machine the same versions).
Ray is for networks that you trust: who reaches its port can run programs on all nodes. Don't open it to the internet.

head, the machine where vscugan encode runs (Linux, macOS):
    ray start --head --node-ip-address {head} --port 6379 --include-dashboard false --resources '{{"vscugan": 1}}'
head (Windows PowerShell):
    ray start --head --node-ip-address {head} --port 6379 --include-dashboard false --resources '{{\\"vscugan\\": 1}}'

each other machine (Linux, macOS):
    ray start --address {head}:6379 --resources '{{"vscugan": 1}}'
each other machine (Windows PowerShell):
    ray start --address {head}:6379 --resources '{{\\"vscugan\\": 1}}'

"vscugan" is how many chunks a machine does at a time on its CPUs. Leave --resources out where a GPU computes: each GPU
does one chunk at a time.

SLURM (in a job of several nodes, after "source .venv/bin/activate"):
    head=$(hostname)
    ray start --head --node-ip-address "$head" --port 6379 --include-dashboard false
    srun --nodes $((SLURM_NNODES - 1)) --ntasks-per-node 1 --exclude "$head" \\
        ray start --address "$head:6379" --block &
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
    if not arguments.check:
        print(LINES.format(head=arguments.head))
        return 0
    from vscugan.encode.worker.cluster import connect, probe, probe_nodes, refuse_other_nodes, slots

    connect(arguments.check)
    nodes = probe_nodes(arguments.file)
    refuse_other_nodes(nodes, probe(arguments.file))
    counts = slots()
    print(f"{len(nodes)} nodes agree: {', '.join(sorted(node.node for node in nodes))}")
    print(f"{counts['gpu']} chunks at a time on GPUs, {counts['cpu']} on CPUs")
    return 0
