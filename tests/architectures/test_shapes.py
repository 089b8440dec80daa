"""What follows from layers and stages, and that those that do not add up are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vscugan.architectures import ARCHITECTURES
from vscugan.architectures.architecture import Architecture
from vscugan.architectures.parts import Layer

UPCUNET = ARCHITECTURES["upcunet-2x"]


def without_layer(name: str, **changed: object) -> Architecture:
    """UpCunet with another layer of this name."""
    layers = tuple(replace(row, **changed) if row.name == name else row for row in UPCUNET.layers)  # type: ignore[arg-type]
    return replace(UPCUNET, layers=layers)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (replace(UPCUNET, scale=3), "upcunet-2x: it must end with three planes of 3 times the size"),
        (replace(UPCUNET, pad_px=20), "upcunet-2x: it must end with three planes of 2 times the size"),
        (replace(UPCUNET, multiple=1), ": maps that are added must be alike, got "),
        (replace(ARCHITECTURES["upcunet-3x"], multiple=2), ": maps that are added must be alike, got "),
        (without_layer("unet2.conv5", inputs=32), ": unet2.conv5 must read 32 channels, got 64"),
        (without_layer("unet1.conv2.conv.0", kernel=5), ": maps that are added must be alike, got "),
    ],
)
def test_what_does_not_add_up(architecture: Architecture, message: str) -> None:
    with pytest.raises(ValueError) as error:
        _ = architecture.shapes
    assert message in str(error.value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_row_says_everything_once(name: str) -> None:
    row = ARCHITECTURES[name]
    assert row.name == name
    assert len(row.layer) == len(row.layers)
    assert row.identified_by in row.tensor_shapes
    assert {layer.name for layer in row.layers if layer.dense} == {name for gate in row.gates for name in gate.layers}
    written = {"input"}
    for stage, lean in zip(row.stages, row.stages_for(lean=True), strict=True):
        assert set(lean.writes) <= set(stage.writes)
        assert set(stage.reads) <= written
        written |= set(stage.writes)
    assert written == set(row.shapes.maps)


def test_sizes_of_a_layers_output() -> None:
    assert Layer(name="a", inputs=1, outputs=1).output_px(10) == 8
    assert Layer(name="a", inputs=1, outputs=1, padding=1).output_px(10) == 10
    assert Layer(name="a", inputs=1, outputs=1, kernel=2, stride=2).output_px(10) == 5
    assert Layer(name="a", inputs=3, outputs=1, kernel=4, stride=2, padding=3, transposed=True).output_px(10) == 16
    assert Layer(name="a", inputs=3, outputs=1, kernel=4, transposed=True).weight_shape == (3, 1, 4, 4)
