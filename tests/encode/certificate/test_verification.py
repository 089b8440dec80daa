"""``verify``: what is right is found right, on other devices too, and what is not is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from support import media
from support.certificates import FRAMES, certificate, report, write

from vscugan.__main__ import main
from vscugan.encode.certificate import verification
from vscugan.files import sha256
from vscugan.models.registry import rows


def test_frames_are_computed_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    source, result = folder / "a.mkv", folder / "b.mkv"
    assert content["source"] == {"name": "a.mkv", "sha256": sha256(source), "bytes": source.stat().st_size}
    assert content["result"]["sha256"] == sha256(result)
    assert content["made_by"]["runtime"] == "torch"
    (weights,) = [row for row in rows() if (row.model, row.scale, row.noise) == ("se", 2, "denoise1x")]
    assert content["made_by"]["weights"] in (weights.sha256, weights.param_sha256)
    assert [len(chunk["frames"]) for chunk in content["chunks"]] == [4, 2]
    assert [len(chunk["sketches"]) for chunk in content["chunks"]] == [4, 2]
    assert content["timings"]["encoding_s"] > 0
    assert {"vscugan", "vapoursynth", "torch", "av"} <= content["versions"].keys()

    found = report(folder, capsys, 0, "--frames", "4")
    assert found["file_is_same"]
    assert (found["wrong"], found["changed"]) == ([], [])
    assert [frame["same"] for frame in found["frames"]] == [True] * 4
    assert min(frame["psnr"] for frame in found["frames"]) > 33
    assert min(frame["detail"] for frame in found["frames"]) > 0.8
    source.write_bytes(source.read_bytes() + b"x")
    assert main(["verify", str(result)]) == 3
    assert capsys.readouterr().err == (
        "vscugan verify: source must be the certificate's, got another sha256 of 'a.mkv'; name the right one\n"
    )


def test_a_frame_that_is_not_computed_ends_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = verification.compare_frame, list[int]()

    def compared(computed: Any, coded: Any, n: int, *rest: Any, **named: Any) -> dict[str, Any]:
        tried.append(n)
        if len(tried) == 1:
            raise vs.Error("cugan.Upscale: no light")
        return real(computed, coded, n, *rest, **named)

    monkeypatch.setattr(verification, "compare_frame", compared)
    first, second = report(folder, capsys, 1)["frames"]
    assert first == {"frame": tried[0], "error": "no light", "same": False, "is_right": False}
    assert second["is_right"]
    tried.clear()
    assert main(["verify", str(folder / "b.mkv"), "--frames", "1", "--seed", "1"]) == 1
    assert f"frame {tried[0]}: not computed: no light: WRONG\n" in capsys.readouterr().out


@pytest.mark.parametrize("sharpened", ["", ",unsharp=3:3:1"])
def test_a_plain_enlargement_is_found_out(folder: Path, capsys: pytest.CaptureFixture[str], sharpened: str) -> None:
    """Its hash stands in the certificate of a true one."""
    content = certificate(folder)
    enlarging = f"scale=2*iw:2*ih:flags=lanczos{sharpened}"
    coding = ("-pix_fmt", "yuv420p10le", "-c:v", "libx264", "-crf", 12)
    media.ffmpeg("-i", folder / "a.mkv", "-vf", enlarging, *coding, folder / "b.mkv")
    content["result"] |= {"sha256": sha256(folder / "b.mkv")}
    write(folder, content)
    found = report(folder, capsys, 1, "--psnr", "20")
    assert all(frame["same"] and frame["detail"] < 0.15 and not frame["is_right"] for frame in found["frames"])
    assert found["file_is_same"]
    assert main(["verify", str(folder / "b.mkv"), "--frames", "1", "--seed", "1", "--psnr", "20"]) == 1
    assert capsys.readouterr().out.splitlines()[-2].endswith("% of the detail: WRONG")


def recoded(folder: Path, *argv: object) -> None:
    """The result coded once more, its hash in the certificate."""
    (folder / "b.mkv").rename(folder / "old.mkv")
    media.ffmpeg("-i", folder / "old.mkv", *argv, "-c:v", "libx264", "-crf", 12, folder / "b.mkv")
    content = certificate(folder)
    content["result"] |= {"sha256": sha256(folder / "b.mkv")}
    write(folder, content)


def test_each_plane_is_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recoded(folder, "-vf", "negate=components=u+v")
    found = report(folder, capsys, 1)
    assert [frame["faults"] for frame in found["frames"]] == [["psnr"]] * 2
    assert found["file_is_same"]
    assert min(frame["detail"] for frame in found["frames"]) > 0.7


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        (("-vf", "setpts=PTS*4"), "timestamp of frame 1 was 0.040000 s, the result has 0.160000 s"),
        (("-map", 0, "-map", 0), "video streams were 1, the result has 2"),
    ],
)
def test_other_times_and_further_videos_are_found_out(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: tuple[object, ...], fault: str
) -> None:
    recoded(folder, "-fps_mode", "passthrough", *argv)
    assert report(folder, capsys, 1)["wrong"] == [fault]


def test_what_a_file_says_writes_nothing_on_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    content["chunks"][0]["hardware"]["cpu"] = "one\x1b[1A\x1b[2K\nright"
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv"), "--psnr", "60", "--frames", "6"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(r"note: processor.cpu was one\x1b[1A\x1b[2K\nright, now ")
    assert lines[2].endswith("% of the detail: WRONG, below 60 dB (--psnr)")
    assert lines[-1] == "WRONG"


def test_another_device_may_give_other_bits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino")
    content = certificate(folder)
    content["parameters"]["options"]["backend"] = "openvino"
    write(folder, content)
    found = report(folder, capsys, 0)
    assert "runtime was torch, now openvino" in found["changed"]
    assert not all(frame["same"] for frame in found["frames"])
    assert min(frame["computed_psnr"] for frame in found["frames"]) > 70

    content["parameters"]["options"]["noise"] = "conservative"  # as if that were what was computed there
    (weights,) = [row for row in rows() if (row.model, row.scale, row.noise) == ("se", 2, "conservative")]
    content["made_by"]["weights"] = weights.sha256
    write(folder, content)
    found = report(folder, capsys, 1)
    assert max(frame["computed_psnr"] for frame in found["frames"]) < 45


def test_an_edited_strength_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All noise levels of this model are in one file, so the file's sha256 does not tell them apart."""
    media.plain(tmp_path / "a.mkv")
    argv = ("--model", "fast", "--strength", "0.5", "--encoder", "x264", "--device", "cpu", "--backend", "torch")
    assert main(["encode", str(tmp_path / "a.mkv"), "-o", str(tmp_path / "b.mkv"), *argv]) == 0
    content = certificate(tmp_path)
    assert content["parameters"]["options"]["strength"] == 0.5
    assert content["made_by"]["noise"] == "strength=0.5"
    content["parameters"]["options"]["strength"] = 1
    write(tmp_path, content)
    capsys.readouterr()
    assert report(tmp_path, capsys, 1)["wrong"] == ["noise was strength=0.5, now denoise1x"]


def test_an_edited_noise_level_is_found_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    before = content["made_by"]["weights"]
    content["parameters"]["options"]["noise"] = "conservative"
    write(folder, content)
    found = report(folder, capsys, 1)
    (weights,) = [row for row in rows() if (row.model, row.scale, row.noise) == ("se", 2, "conservative")]
    assert found["wrong"] == [f"weights was {before}, now {weights.sha256}"]
    assert found["frames"] == []


def test_bits_must_be_equal_where_nothing_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    digest = content["chunks"][0]["frames"][1]
    content["chunks"][0]["frames"][1] = digest[::-1]
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv"), "--frames", "30"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "frame 1: computed again: DIFFERENT bits, about 90 dB; coded at " in lines[2]
    assert lines[2].endswith("% of the detail: WRONG")
    assert lines[-1] == "WRONG"
    content["chunks"][0]["hardware"] = {"cpu": "of another kind"}
    write(folder, content)
    assert any(text.startswith("processor.cpu was of another kind, now ") for text in
               report(folder, capsys, 0, "--frames", "30")["changed"])  # fmt: skip


@pytest.mark.parametrize("tile", ["32x32", None])
def test_another_tile_may_give_other_bits(
    folder: Path, capsys: pytest.CaptureFixture[str], tile: str | None
) -> None:
    content = certificate(folder)
    now = content["chunks"][0]["tile"]
    assert now == content["made_by"]["tile"]
    content["chunks"][0]["frames"][1] = "0" * 16
    if tile is None:
        del content["chunks"][0]["tile"]  # as in older ones
    else:
        content["chunks"][0]["tile"] = tile
    write(folder, content)
    assert report(folder, capsys, 0, "--frames", "30")["changed"] == [f"tile was {tile or 'unknown'}, now {now}"]


def test_contradictions_and_frame_counts_are_differences(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    content["chunks"] = []
    content["frames"] = content["result"]["frames"] = 7
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "file: sha256 as in the certificate",
        "DIFFERENT: certificate: its chunks hold 0 of 7 frames",
        f"DIFFERENT: frames were 7, the result has {FRAMES}",
        f"DIFFERENT: frames were 7, the computed clip has {FRAMES}",
        "WRONG",
    ]
