"""Graphs for ncnn."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vscugan.models.registry import default_noise, find
from vscugan.models.weights import load_released
from vscugan.runtime.graph import network_graph, prefix_graph, stage_graph
from vscugan.runtime.ncnn_writer import Writer, parts


@pytest.mark.parametrize(
    ("model", "scale"),
    [
        ("se", 2), ("se", 3), ("se", 4), ("fast", 2), ("waifu2x", 1), ("waifu2x-anime", 2),
        ("realesrgan-animevideo", 3), ("realesrgan-anime", 4),
    ],
)  # fmt: skip
def test_every_graph_is_one_that_ncnn_reads_to_the_last_byte(model: str, scale: int) -> None:
    ncnn = importlib.import_module("ncnn")
    weights = load_released(find(model=model, scale=scale, noise=default_noise(model)))
    architecture = weights.architecture
    stages = [*architecture.stages, *architecture.stages_for(lean=True)]
    graphs = [stage_graph(Writer(weights), stage) for stage in stages]
    graphs += [prefix_graph(Writer(weights), last) for last in range(len(architecture.gates))]
    graphs += [network_graph(Writer(weights), takes_gates=True), network_graph(Writer(weights), returns_gates=True)]
    for graph in graphs:
        param, data = parts(graph)
        net = ncnn.Net()
        assert net.load_param_mem(param) == 0
        lines = [line.split() for line in param.splitlines()[2:]]
        sizes = [int(word[2:]) for words in lines for word in words if word.startswith("6=")]
        with_values = ("Convolution", "Deconvolution", "PReLU")
        biases = [int(word[2:]) for words in lines for word in words if words[0] in with_values
                  if word.startswith("0=")]  # fmt: skip
        assert len(data) == 4 * (len(sizes) + sum(sizes) + sum(biases))


def test_a_blob_has_one_reader_and_outputs_have_their_names() -> None:
    weights = load_released(find(model="se", scale=4, noise="conservative"))
    param, _ = parts(network_graph(Writer(weights), returns_gates=True))
    read, written = [], []
    for line in param.splitlines()[2:]:
        words = line.split()
        inputs, outputs = int(words[2]), int(words[3])
        read += words[4 : 4 + inputs]
        written += words[4 + inputs : 4 + inputs + outputs]
    assert len(set(read)) == len(read)
    assert len(set(written)) == len(written)
    assert set(written) - set(read) == {"output", "gate1", "gate2", "gate3", "gate4"}
    assert int(param.split()[2]) == len(written)


def test_means_of_large_maps_do_not_round_visibly() -> None:
    """1080p, with values that lie far from 0: one sum along a map would be wrong by 1e-4."""
    ncnn = importlib.import_module("ncnn")
    weights = load_released(find(model="se", scale=2, noise="conservative"))
    writer = Writer(weights)
    writer.vector_output("mean", writer._mean(writer.map_input("x")), 64)
    param, data = parts(writer.model())
    net = ncnn.Net()
    net.load_param_mem(param)
    net.load_model_mem(data)
    values = np.random.default_rng(0).random((2, 1080, 1920), np.float32) + 3
    extractor = net.create_extractor()
    extractor.input("x", ncnn.Mat(values))
    _, mean = extractor.extract("mean")
    assert np.abs(np.asarray(mean)[:, 0, 0] / values.mean((1, 2), dtype=np.float64) - 1).max() < 1e-6
