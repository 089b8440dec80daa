"""Everything that a container holds comes through, or is refused before the start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import media
import pytest

ENCODERS = {".mkv": ("x265", "ultrafast"), ".mp4": ("x264", "medium")}


def encode(source: Path, output: Path, *words: object, encoder: tuple[str, str] | None = None) -> str:
    """Encode by a resize, no network; returns what was said."""
    script = output.parent / "resize.vpy"
    script.write_text(media.RESIZE)
    name, preset = encoder or ENCODERS[output.suffix]
    words = ("--script", script, "--chunk", 0.9, "--encoder", name, *words)
    tail = ("--", "--preset", preset) if name != "ffv1" else ()
    run = subprocess.run(
        media.command("encode", source, "-o", output, *words, *tail), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(("what", "make"), media.FIXTURES, ids=lambda v: getattr(v, "__name__", ""))
def test_everything_is_kept(tmp_path: Path, what: str, make: media.Callable[[Path], Path]) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    result = tmp_path / f"out{source.suffix}"
    script = tmp_path / "resize.vpy"
    script.write_text(media.RESIZE)
    encoder = "x265" if make is media.hdr10 else "x264"
    run = subprocess.run(
        media.command("encode", source, "-o", result, "--script", script, "--encoder", encoder, "--", "--preset",
                      "medium", "--crf", 20), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    count, lost = media.compare(source, result)
    assert not lost
    assert count > 30
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["in", result.name, f"{result.name}.cugan.json", "resize.vpy"]
    )
