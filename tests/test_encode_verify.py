"""``verify``: what is right is found right, on other devices too, and certificates that lie are found out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import media
import numpy as np
import pytest
import vapoursynth as vs
from conftest import DATA, painted

from vscugan.__main__ import main
from vscugan.encode import verify
from vscugan.encode.certificate import contradictions
from vscugan.encode.sketch import LARGEST_PSNR, sketch, sketch_psnr
from vscugan.files import sha256
from vscugan.models.registry import rows

FAST = ("--device", "cpu", "--backend", "torch")
FRAMES = 6
Certificate = dict[str, Any]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real art, enlarged by the network."""
    folder = tmp_path_factory.mktemp("encoded")
    moving = "crop=64:48:200+3*n:100+n,format=yuv420p"
    art = DATA / "sylvie_green_uni_640x360.png"
    media.ffmpeg("-loop", 1, "-i", art, "-vf", moving, "-frames:v", FRAMES, *media.FAST, "-crf", 12, folder / "a.mkv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSCUGAN_CACHE", str(folder / "cache"))
        words = ("--noise", "denoise1x", "--segment", "2", "--chunk", "0.15", "--encoder", "x264", *FAST)
        assert main(["encode", str(folder / "a.mkv"), "-o", str(folder / "b.mkv"), *words, "--", "--crf", "18"]) == 0
    return folder


@pytest.fixture
def folder(encoded: Path, tmp_path: Path) -> Path:
    """The same, for one test."""
    for name in ("a.mkv", "b.mkv", "b.mkv.cugan.json"):
        shutil.copy(encoded / name, tmp_path / name)
    return tmp_path


def certificate(folder: Path) -> Certificate:
    content: Certificate = json.loads((folder / "b.mkv.cugan.json").read_text(encoding="utf-8"))
    return content


def write(folder: Path, content: Certificate) -> None:
    (folder / "b.mkv.cugan.json").write_text(json.dumps(content), encoding="utf-8")


def report(folder: Path, capsys: pytest.CaptureFixture[str], code: int, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["verify", str(folder / "b.mkv"), "--seed", "1", "--frames", "2", "--json", *words]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["is_right"] == (code == 0)
    return found


def test_frames_are_computed_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    source, result = folder / "a.mkv", folder / "b.mkv"
    assert content["source"] == {"name": "a.mkv", "sha256": sha256(source), "bytes": source.stat().st_size}
    assert content["result"]["sha256"] == sha256(result)
    assert content["made_by"]["runtime"] == "torch"
    (weights,) = [row for row in rows() if (row.model, row.scale, row.noise) == ("se", 2, "denoise1x")]
    assert content["made_by"]["weights"] in (weights.bin_sha256, weights.param_sha256)
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
    real, tried = verify._compared, list[int]()

    def compared(computed: Any, coded: Any, n: int, *rest: Any, **named: Any) -> dict[str, Any]:
        tried.append(n)
        if len(tried) == 1:
            raise vs.Error("cugan.Upscale: no light")
        return real(computed, coded, n, *rest, **named)

    monkeypatch.setattr(verify, "_compared", compared)
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
    content["made_by"]["weights"] = weights.bin_sha256
    write(folder, content)
    found = report(folder, capsys, 1)
    assert max(frame["computed_psnr"] for frame in found["frames"]) < 45


def test_an_edited_noise_level_is_found_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    before = content["made_by"]["weights"]
    content["parameters"]["options"]["noise"] = "conservative"
    write(folder, content)
    found = report(folder, capsys, 1)
    (weights,) = [row for row in rows() if (row.model, row.scale, row.noise) == ("se", 2, "conservative")]
    assert found["wrong"] == [f"weights was {before}, now {weights.bin_sha256}"]
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


def _zeroed(content: Certificate) -> None:
    for chunk in content["chunks"]:
        chunk["frames"] = ["0" * 16] * len(chunk["frames"])


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (_zeroed, "frame 1 has the hash of another frame, and not its sketch"),
        (lambda c: c["chunks"].clear(), f"its chunks hold 0 of {FRAMES} frames"),
        (lambda c: c["chunks"].pop(), f"its chunks hold 4 of {FRAMES} frames"),
        (lambda c: c["chunks"].pop(0), "its chunks do not join at frame 0"),
        (lambda c: c["chunks"][0]["frames"].pop(), "hashes are missing from frame 0 on"),
        (lambda c: c["chunks"][1]["frames"].clear(), "hashes are missing from frame 4 on"),
        (lambda c: c["chunks"][1]["sketches"].clear(), "hashes are missing from frame 4 on"),
        (lambda c: c["chunks"][1]["frames"].__setitem__(0, "00"), "hashes are missing from frame 4 on"),
        (lambda c: c["result"].update(frames=7), f"it tells of {FRAMES} frames, and of 7 in the result"),
    ],
)
def test_a_certificate_that_contradicts_itself(
    encoded: Path, edit: Callable[[Certificate], object], fault: str
) -> None:
    content = certificate(encoded)
    assert list(contradictions(content)) == []
    edit(content)
    assert next(contradictions(content)) == fault


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


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.update(chunks=3), "certificate must be as vscugan wrote it, got chunks of another type in "
                                       "'b.mkv.cugan.json'; name a file that vscugan encode made"),
        (lambda c: c["result"].pop("sha256"), "certificate must be as vscugan wrote it, got result: no sha256 in "
                                              "'b.mkv.cugan.json'; name a file that vscugan encode made"),
        (lambda c: c["chunks"][1].update(frames=[1]), "certificate must be as vscugan wrote it, got chunk 1: frames of "
                                                      "another type in 'b.mkv.cugan.json'; name a file that vscugan "
                                                      "encode made"),
        (lambda c: c["parameters"]["options"].update(scale=99), "scale must be 1 to 16, got 99; 1 restores without "
                                                                "resizing, and width or height makes a smaller "
                                                                "picture"),
        (lambda c: c["parameters"]["options"].update(weights="/no/such.pth", noise=None),
         "weights must be there, got no 'such.pth'; name the file by --weights"),
        (lambda c: c.update(form=1), "certificate must be of form 2, got 1; use the vscugan that wrote it"),
    ],
)  # fmt: skip
def test_a_certificate_is_checked_like_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], edit: Callable[[Certificate], object], message: str
) -> None:
    content = certificate(folder)
    edit(content)
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv")]) == 2
    assert capsys.readouterr().err == f"vscugan verify: {message}\n"


def test_no_script_is_run_by_the_word_of_a_certificate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = folder / "s.vpy"
    script.write_text(f"open({str(folder / 'ran')!r}, 'w')\n{media.RESIZE}")
    content = certificate(folder)
    content["parameters"]["script"] = "s.vpy"
    content["script_sha256"] = hashlib.sha256(script.read_bytes()).hexdigest()
    write(folder, content)
    for words, message in (
        ((), "script must be named, since it is run, got the certificate's word for 's.vpy'; look into it, then name "
             "it by --script"),
        (("--script", str(folder / "t.vpy")), "script must be there, got no 't.vpy'; name it by --script"),
        (("--script", str(folder / "a.mkv")), "script must be the certificate's, got another sha256 of 'a.mkv'; look "
                                              "into it"),
    ):  # fmt: skip
        assert main(["verify", str(folder / "b.mkv"), *words]) == 2
        assert capsys.readouterr().err == f"vscugan verify: {message}\n"
    assert not (folder / "ran").exists()
    assert main(["verify", str(folder / "b.mkv"), "--script", str(script)]) == 1
    assert (folder / "ran").exists()


@pytest.mark.parametrize("format", [vs.YUV420P8, vs.YUV444P10, vs.GRAY16])
def test_sketches_tell_how_near_frames_are(core: Any, format: int) -> None:
    rng = np.random.default_rng(3)
    clip = core.std.BlankClip(format=format, width=160, height=90, length=1, keep=True)
    code = 1 << clip.format.bits_per_sample - 8
    mean = 4 * code

    def noisy(n: int, planes: list[np.ndarray]) -> None:
        for plane in planes:
            plane[:] = rng.integers(16 * code, 200 * code, plane.shape)

    with painted(core, clip, noisy).get_frame(0) as first:
        changed = first.copy()
        errors = rng.integers(-mean, mean + 1, np.asarray(changed[0]).shape)
        np.asarray(changed[0])[:] = (np.asarray(first[0]).astype(int) + errors).astype(np.asarray(first[0]).dtype)
        true = 10 * np.log10((255 * code) ** 2 / np.mean(errors.astype(float) ** 2))
        assert abs(sketch_psnr(sketch(first), sketch(changed)) - true) < 4
        assert sketch_psnr(sketch(first), sketch(first)) == LARGEST_PSNR
        np.asarray(changed[0])[:] = np.asarray(first[0])
        np.asarray(changed[0])[:8, :8] = 0  # one damaged block of many
        assert 25 < sketch_psnr(sketch(first), sketch(changed)) < 37
