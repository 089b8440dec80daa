"""What decides whether a result is there already."""

from __future__ import annotations

from pathlib import Path

from vscugan.image.results import deciding_options


def test_weights_of_your_own_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("a.param", "a.bin"):
        (tmp_path / name).write_bytes(name.encode())
    before = deciding_options({"weights": str(tmp_path / "a.param")}, 95)
    assert before == deciding_options({"weights": str(tmp_path / "a.bin"), "device": "cpu"}, 95)
    (tmp_path / "a.bin").write_bytes(b"other")
    assert before != deciding_options({"weights": str(tmp_path / "a.param")}, 95)


def test_tiles_decide_where_they_are_not_exact(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"a network of one's own")
    for options, decides in (
        ({"model": "waifu2x"}, False),
        ({"model": "realesrgan-animevideo"}, False),
        ({"model": "realesrgan-animevideo", "halo": 4}, True),
        ({"model": "realesrgan-anime"}, True),
        ({"weights": str(tmp_path / "x.onnx")}, True),
    ):
        tiled = deciding_options(options | {"tile": 64}, 95)
        assert (tiled != deciding_options(options, 95)) is decides
