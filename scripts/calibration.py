"""Post-training quantisation on pictures, by running a network's stages with rounded layers in torch.

Where one file has all noise levels, ``networks`` are the network at each of them, and one quantisation is for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vscugan.architectures.parts import Gate
from vscugan.architectures.stages import run_network
from vscugan.engine.padding import network_input, picture_of
from vscugan.models.int8 import Quantisation, Range, prepared, scaled
from vscugan.models.weights import Weights
from vscugan.runtime.gates import GateLayers
from vscugan.runtime.torch_arrays import TorchArrays

#: How much of the way each channel's activations are brought to like ranges, the rest is left to the weights:
#: of 0.5, 0.75 and 1, the one with the best worst picture on most 2x models.
ACTIVATION_SHARE = 0.75
LARGEST_EXPONENT = 6
#: Clipping that is tried, as parts of the range that was seen.
CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
#: Pixels a side of a map that the clipping is chosen on, beside the layer's own border.
WINDOW_PX = 96

#: The time it takes to round a skip for its convolution alone, in multiply-adds of fp32 for each element, as measured.
SKIP_WORK = 400

ARRAYS = TorchArrays(torch.device("cpu"), torch.float32, torch.contiguous_format)

Seen = Callable[[str, Tensor], None]


@dataclass(kw_only=True)
class Emulation:
    """A model in torch with some layers rounded as the int8 graphs do; the ``Operators`` of the stages.

    ``before`` sees what each layer reads, ``after`` what it writes before the leaky ReLU, and may change it.
    """

    weights: Weights
    ranges: Mapping[str, Range] = field(default_factory=dict)
    before: Seen | None = None
    after: Seen | None = None

    def __post_init__(self) -> None:
        self.architecture = self.weights.architecture
        self._gates = GateLayers(self.architecture, self.weights.tensors)
        self._kernels = {layer: self._kernel(layer) for layer in convolutions(self.weights)}

    def _kernel(self, layer: str) -> Tensor:
        weight = _tensor(self.weights, f"{layer}.weight")
        if layer in self.ranges:
            others = [a for a in range(4) if a != self.architecture.layer[layer].output_axis]
            level = weight.abs().amax(others, keepdim=True) / 127
            weight = (weight / level).round() * level
        return weight.contiguous(memory_format=torch.channels_last)

    def convolve(self, layer: str, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """A layer without its leaky ReLU."""
        row = self.architecture.layer[layer]
        convolve = F.conv_transpose2d if row.transposed else F.conv2d
        return convolve(x, self._kernels[layer], bias, stride=row.stride, padding=row.padding)

    def convolution(self, layer: str, x: Tensor) -> Tensor:
        """See ``Operators``."""
        if self.before is not None:
            self.before(layer, x)
        if layer in self.ranges:
            x = rounded(x, self.ranges[layer])
        y = self.convolve(layer, x, _tensor(self.weights, f"{layer}.bias"))
        if self.after is not None:
            self.after(layer, y)
        slope = self.architecture.layer[layer].slope
        if slope is not None:
            y = F.leaky_relu_(y, slope)
        reader = self.architecture.skips.get(layer, "")
        return rounded(y, self.ranges[reader]) if reader in self.ranges else y

    def pixel_shuffle(self, x: Tensor, factor: int) -> Tensor:
        """See ``Operators``."""
        return F.pixel_shuffle(x, factor)

    def repeat_pixels(self, x: Tensor, factor: int) -> Tensor:
        """See ``Operators``."""
        return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    def gate(self, gate: Gate, x: Tensor) -> Tensor:
        """The gate of a whole map."""
        return self._gates(gate, x.mean((2, 3)), 1.0)

    def run(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1, H and W multiples of 4 -> (N, 3, scale*H, scale*W) in 0..1."""
        padded, _ = network_input(self.architecture, ARRAYS, x)
        padded = padded.contiguous(memory_format=torch.channels_last)
        y: Tensor = run_network(self.architecture.stages, self, padded, make_gate=self.gate).maps["output"]
        shown: Tensor = picture_of(self.architecture, y).clamp(0, 1)
        return shown


def _tensor(weights: Weights, name: str) -> Tensor:
    return torch.from_numpy(weights.tensors[name])


def rounded(x: Tensor, levels: Range) -> Tensor:
    """A map in the 256 levels of its range."""
    zero = levels.zero_point
    return (x / levels.scale).round_().clamp_(-zero, 255 - zero).mul_(levels.scale)


def convolutions(weights: Weights) -> list[str]:
    """The network's convolutions, without those of the gates, in order."""
    return [layer.name for layer in weights.architecture.layers if not layer.dense]


def psnr(a: Tensor, b: Tensor) -> float:
    """dB for a full range of 1."""
    return float(-10 * torch.log10(((a - b).double() ** 2).mean().clamp_min(1e-20)))


def _extent(low: float, high: float) -> Range:
    return Range(low=min(low, 0.0), high=max(high, 1e-6))


def like_ranges(networks: Sequence[Weights], pictures: Sequence[Tensor], layers: Sequence[str]) -> dict[str, list[int]]:
    """The exponents that bring the channels which ``layers`` read to like ranges; see ``Quantisation``."""
    largest: dict[str, Tensor] = {}

    def see(layer: str, x: Tensor) -> None:
        here = x.abs().amax((0, 2, 3))
        largest[layer] = torch.maximum(largest[layer], here) if layer in largest else here

    _run_all([Emulation(weights=weights, before=see) for weights in networks], pictures)
    architecture = networks[0].architecture

    def largest_weights(layer: str) -> Tensor:
        """Of each channel that the layer reads."""
        axis = 1 - architecture.layer[layer].output_axis
        kernels = [_tensor(weights, f"{layer}.weight").abs().transpose(0, axis).flatten(1) for weights in networks]
        return torch.cat(kernels, 1).amax(1)

    exponents = {}
    for channels in architecture.channels:
        readers = [layer for layer in channels.readers if layer in layers]
        if not readers:
            continue
        activation = torch.stack([largest[layer] for layer in readers]).amax(0).clamp_min(1e-6)
        weight = torch.stack([largest_weights(layer) for layer in readers])
        octaves = ACTIVATION_SHARE * activation.log2() - (1 - ACTIVATION_SHARE) * weight.amax(0).log2()
        wanted = (octaves.mean() - octaves).round().clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT)
        exponents[channels.writers[0]] = [int(e) for e in wanted]
    return exponents


def _run_all(networks: Sequence[Emulation], pictures: Sequence[Tensor]) -> None:
    for network in networks:
        for x in pictures:
            network.run(x)


def best_ranges(networks: Sequence[Weights], pictures: Sequence[Tensor], layers: Sequence[str]) -> dict[str, Range]:
    """For each layer the clipping whose worst picture has the smallest error in what the layer writes."""
    seen: dict[str, tuple[float, float]] = {}

    def see(layer: str, x: Tensor) -> None:
        low, high = seen.get(layer, (0.0, 0.0))
        seen[layer] = (min(low, float(x.min())), max(high, float(x.max())))

    emulations = [Emulation(weights=weights, before=see) for weights in networks]
    _run_all(emulations, pictures)
    worst = {layer: torch.zeros(len(CLIPS)) for layer in layers}

    def compare(network: Emulation, layer: str, x: Tensor) -> None:
        if layer not in worst:
            return
        at = [max(0, (size - WINDOW_PX) // 2) for size in x.shape[2:]]
        x = x[:, :, at[0] : at[0] + WINDOW_PX, at[1] : at[1] + WINDOW_PX]
        errors = []
        for clip in CLIPS:
            levels = _extent(seen[layer][0] * clip, seen[layer][1] * clip)
            errors.append((network.convolve(layer, x - rounded(x, levels)) ** 2).mean())
        worst[layer] = torch.maximum(worst[layer], torch.stack(errors))

    for network in emulations:
        network.before = partial(compare, network)
    _run_all(emulations, pictures)
    clips = {layer: CLIPS[int(errors.argmin())] for layer, errors in worst.items()}
    return {layer: _extent(seen[layer][0] * clip, seen[layer][1] * clip) for layer, clip in clips.items()}


def corrected_biases(weights: Weights, ranges: Mapping[str, Range], pictures: Tensor) -> dict[str, list[float]]:
    """The biases of the rounded layers with which each layer's channels have their fp32 means, layer after layer."""
    means: dict[str, Tensor] = {}
    Emulation(weights=weights, after=lambda layer, y: means.update({layer: y.mean((0, 2, 3))})).run(pictures)
    biases: dict[str, list[float]] = {}

    def correct(layer: str, y: Tensor) -> None:
        if layer in ranges:
            missing = means[layer] - y.mean((0, 2, 3))
            y += missing[:, None, None]
            biases[layer] = [float(f"{b:.6g}") for b in _tensor(weights, f"{layer}.bias") + missing]

    Emulation(weights=weights, ranges=ranges, after=correct).run(pictures)
    return biases


def _biases(
    networks: Sequence[Weights], ranges: Mapping[str, Range], pictures: Sequence[Tensor]
) -> dict[str, list[float]]:
    """``corrected_biases`` of a network that has one noise level; several have no biases in common."""
    return {} if networks[0].level else corrected_biases(networks[0], ranges, torch.cat(list(pictures)))


def calibrated(networks: Sequence[Weights], pictures: Sequence[Tensor], layers: Sequence[str]) -> Quantisation:
    """The quantisation of ``layers``; ``pictures`` are of one size."""
    exponents = like_ranges(networks, pictures, layers)
    like = [scaled(weights, exponents) for weights in networks]
    ranges = {
        layer: Range(low=float(f"{r.low:.6g}"), high=float(f"{r.high:.6g}"))
        for layer, r in best_ranges(like, pictures, layers).items()
    }
    return Quantisation(layers=ranges, exponents=exponents, biases=_biases(like, ranges, pictures))


def without(
    quantisation: Quantisation, networks: Sequence[Weights], dropped: str, pictures: Sequence[Tensor]
) -> Quantisation:
    """The quantisation with one layer less, its biases corrected again."""
    ranges = {layer: r for layer, r in quantisation.layers.items() if layer != dropped}
    like = [scaled(weights, quantisation.exponents) for weights in networks]
    return Quantisation(layers=ranges, exponents=quantisation.exponents, biases=_biases(like, ranges, pictures))


def costs(weights: Weights, ranges: Mapping[str, Range], pictures: Sequence[Tensor]) -> dict[str, float]:
    """What each layer alone costs: its squared error at the output for the work that it saves."""
    wanted = [Emulation(weights=weights).run(x) for x in pictures]
    work: dict[str, float] = {}

    def see(layer: str, y: Tensor) -> None:
        work[layer] = y[0, 0].numel() * weights.tensors[f"{layer}.weight"].size
        if layer in weights.architecture.skips:
            skips[weights.architecture.skips[layer]] = y[0].numel() * SKIP_WORK

    skips: dict[str, float] = {}
    Emulation(weights=weights, after=see).run(pictures[0])
    lost = {}
    for layer, levels in ranges.items():
        network = Emulation(weights=weights, ranges={layer: levels})
        lost[layer] = sum(float(((network.run(x) - y) ** 2).mean()) for x, y in zip(pictures, wanted, strict=True))
    return {layer: lost[layer] / (work[layer] + skips.get(layer, 0)) for layer in ranges}


def worst_psnr(networks: Sequence[Weights], quantisation: Quantisation, pictures: Sequence[Tensor]) -> float:
    """Of the pictures' PSNR to fp32 in each network, the lowest."""
    values = []
    for weights in networks:
        plain = Emulation(weights=weights)
        network = Emulation(weights=prepared(weights, quantisation), ranges=quantisation.layers)
        values += [psnr(network.run(x), plain.run(x)) for x in pictures]
    return min(values)
