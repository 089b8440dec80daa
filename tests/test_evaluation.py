"""What the figures of ``fast`` are made with."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    for folder in ("scripts", "training"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    return importlib.import_module


@dataclass(frozen=True)
class Teacher:
    """Draws each pixel as four."""

    noise: str

    def pictures(self, sources: list[Any]) -> list[Any]:
        return [x.repeat(2, 1).repeat(2, 2) for x in sources]


def test_the_distance_to_the_teacher_and_the_cast(training: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    figures, held_out = training("figures"), training("held_out")
    red = np.array([2 / 255, 0, 0], np.float32)[:, None, None]  # 2 codes

    def pictures(self: Any, sources: list[Any]) -> list[Any]:
        results = Teacher(self.noise).pictures(sources)
        return [results[0] + red, results[1] - red / 2] if self.noise == "conservative" else results

    drawn = np.random.default_rng(0).random((2, 3, 24, 32)).astype(np.float32)
    held = [held_out.HeldOut(name=name, degradation="clean", picture=x) for name, x in zip("ab", drawn, strict=True)]
    monkeypatch.setattr(figures, "held_out", lambda: tuple(held))
    monkeypatch.setattr(figures, "teachers", lambda: [Teacher("conservative"), Teacher("denoise1x")])
    monkeypatch.setattr(held_out.Fast, "pictures", pictures)
    (mark, table), (_, by_picture) = figures.distance(held_out.Fast())
    near = [10 * np.log10(3 * (255 / codes) ** 2) for codes in (2, 1)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert mark == "distance"
    assert cells[2][:4] == ["conservative", f"{np.mean(near):.2f}", f"{near[0]:.1f}", "a, clean"]
    assert cells[2][-4:] == ["+0.50", "+0.00", "+0.00", "2.00"]
    assert cells[3][:3] == ["denoise1x", "99.00", "99.0"]
    assert cells[4][:3] == ["all", f"{np.mean([*near, 99, 99]):.2f}", f"{near[0]:.1f}"]
    assert by_picture.splitlines()[2] == f"| a | clean | {near[0]:.1f} | 99.0 |"


def test_held_out_pictures(training: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = training("held_out")
    monkeypatch.setattr(held_out, "frames_of", lambda file, numbers: [np.full((3, 2, 2), n / 255) for n in numbers])
    monkeypatch.setattr(held_out, "stills", lambda: dict.fromkeys("abc", np.zeros((3, 2, 2))))
    monkeypatch.setattr(held_out, "h264", lambda frames: frames)
    monkeypatch.setattr(held_out, "DEGRADATIONS", dict.fromkeys(held_out.DEGRADATIONS, lambda x: x))
    pictures = held_out.held_out.__wrapped__()
    assert len({(each.name, each.degradation) for each in pictures}) == len(pictures) == 24
    shown = [each for each in pictures if each.name.startswith("frame")]
    assert [each.name for each in shown] == [f"frame {255 * each.picture[0, 0, 0]:.0f}" for each in shown]


def test_what_upscale_is_given(training: Any) -> None:
    fast = training("held_out").Fast
    assert fast(noise="denoise1x").options == {"model": "fast", "noise": "denoise1x", "precision": "fp32"}
    assert fast(strength=0.0, weights="/a").options == {
        "model": "fast",
        "weights": "/a",
        "strength": 0.0,
        "precision": "fp32",
    }


def test_a_candidate_is_printed_and_the_page_stays(
    training: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evaluate = training("evaluate")
    page = tmp_path / "fast.md"
    page.write_text("<!-- mark -->\n<!-- end of mark -->\n", encoding="utf-8")
    monkeypatch.setattr(evaluate, "REPORT", page)
    monkeypatch.setattr(evaluate.lineage_models, "KEPT", tmp_path)
    monkeypatch.setattr(evaluate, "FIGURES", {"edges": lambda fast: [("mark", str(fast.weights))]})
    for given, kept in ((["--weights", str(tmp_path / "w")], ""), ([], "None\n")):
        monkeypatch.setattr("sys.argv", ["evaluate.py", "edges", *given])
        evaluate.main()
        assert page.read_text(encoding="utf-8") == f"<!-- mark -->\n{kept}<!-- end of mark -->\n"
    assert capsys.readouterr().out == f"\nmark\n{tmp_path / 'w'}\nNone\n"


def test_the_difference_is_gray_where_there_is_none(training: Any) -> None:
    sheet = training("sheet")
    picture = np.full((3, 2, 2), 0.25, np.float32)
    assert sheet.difference(picture, picture).tolist() == np.full((3, 2, 2), 0.5).tolist()
    assert sheet.enlarged(picture).shape == (3, 4, 4)
