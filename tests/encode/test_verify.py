"""``verify``: what is right is found right, on other devices too, and certificates that lie are found out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs
from support import media
from support.frames import DATA, painted

from vscugan.__main__ import main
from vscugan.encode.certificate import verification as verify
from vscugan.encode.certificate.certificate import contradictions
from vscugan.encode.chunks.sketch import LARGEST_PSNR, sketch, sketch_psnr
from vscugan.encode.encoders.y4m import frame_hash
from vscugan.files import sha256
from vscugan.models.registry import rows

FAST = ("--device", "cpu", "--backend", "torch")
FRAMES = 6
#: a script of the user's own that makes what the fixture makes
OWN_UPSCALE = """import vapoursynth as vs
options = dict(noise="denoise1x", segment=2, device="cpu", backend="torch", format=vs.YUV420P10)
vs.core.cugan.Upscale(clip, **options, report=1).set_output()
"""
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


def recoded(folder: Path, *words: object) -> None:
    """The result coded once more, its hash in the certificate."""
    (folder / "b.mkv").rename(folder / "old.mkv")
    media.ffmpeg("-i", folder / "old.mkv", *words, "-c:v", "libx264", "-crf", 12, folder / "b.mkv")
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
    ("words", "fault"),
    [
        (("-vf", "setpts=PTS*4"), "timestamp of frame 1 was 0.040000 s, the result has 0.160000 s"),
        (("-map", 0, "-map", 0), "video streams were 1, the result has 2"),
    ],
)
def test_other_times_and_further_videos_are_found_out(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], fault: str
) -> None:
    recoded(folder, "-fps_mode", "passthrough", *words)
    assert report(folder, capsys, 1)["wrong"] == [fault]


def test_what_a_file_tells_writes_nothing_on_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = certificate(folder)
    content["chunks"][0]["hardware"]["cpu"] = "one\x1b[1A\x1b[2K\nright"
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv"), "--psnr", "60", "--frames", "6"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(r"note: processor.cpu was one\x1b[1A\x1b[2K\nright, now ")
    assert lines[2].endswith("% of the detail: WRONG, below 60 dB (--psnr)")
    assert lines[-1] == "WRONG"


def test_grain_may_be_lost_where_the_detail_is_there(core: Any) -> None:
    """The bits are the certificate's; else, or where --psnr is given, that alone decides."""
    rng = np.random.default_rng(5)
    flat = core.std.BlankClip(format=vs.GRAY8, width=96, height=64, length=1, keep=True, color=128)
    grain = rng.normal(0, 22, (64, 96))

    def painter(values: np.ndarray) -> Callable[[int, list[np.ndarray]], None]:
        return lambda n, planes: planes[0].__setitem__(slice(None), np.clip(128 + values, 0, 255))

    clip = painted(core, flat, painter(grain))
    coded = painted(core, flat, painter(0.75 * grain + rng.normal(0, 14, grain.shape)))
    with clip.get_frame(0) as frame:
        told = verify._Expected(digest=frame_hash(frame), sketched=sketch(frame), hardware={}, tile=None)
    computed = verify._Computed(clip=clip, plain=verify.plain_enlargements(flat, 96, 64), hardware={}, changed=["x"],
                                least_psnr=55)  # fmt: skip
    found = verify._compared(computed, coded, 0, told, None)
    assert (found["is_right"], found["least_psnr"]) == (True, 20)
    assert 22 < found["psnr"] < 26
    assert 0.6 < found["detail"] < 0.9
    assert verify._compared(computed, coded, 0, told, 30)["faults"] == ["psnr"]
    other = replace(told, digest="0" * 16)
    assert verify._compared(computed, coded, 0, other, None)["faults"] == ["psnr"]
    scripted = verify._compared(replace(computed, plain=[]), coded, 0, told, None)
    assert (scripted["detail"], scripted["faults"], scripted["changed"]) == (None, ["psnr"], ["x"])


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
        (lambda c: c["result"].update(frames=7), f"it names {FRAMES} frames, and 7 in the result"),
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
        (lambda c: c["parameters"]["options"].update(format="RGBS"),
         "format must be gray or YUV 4:2:0, 4:2:2 or 4:4:4 of 8 to 16 bit for an encoder, got RGBS; say --format "
         "YUV444P10, or convert at the end of your script"),
        (lambda c: c["parameters"]["options"].update(noise="\x1b[2J"),
         "noise must be no-denoise, conservative, denoise1x, denoise2x, denoise3x or -1 to 3, got \\x1b[2J; -1 is "
         "no-denoise and 0 is conservative, as in vs-mlrt"),
        (lambda c: c["parameters"].update(chunk_s=10**400), "parameters must be those of encode, got chunk_s of "
                                                            "another type; give them on the command line"),
        (lambda c: c["chunks"][0].update(tile=64), "certificate must be as vscugan wrote it, got chunk 0: tile of "
                                                   "another type in 'b.mkv.cugan.json'; name a file that vscugan "
                                                   "encode made"),
        (lambda c: c.update(form="\x1b[2J"), "certificate must be of schema version 2, got \\x1b[2J; use the "
                                             "vscugan that wrote it"),
        (lambda c: c.update(form=1), "certificate must be of schema version 2, got 1; use the vscugan "
                                       "that wrote it"),
    ],
)  # fmt: skip
def test_a_certificate_is_checked_like_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], edit: Callable[[Certificate], object], message: str
) -> None:
    content = certificate(folder)
    edit(content)
    write(folder, content)
    assert main(["verify", str(folder / "b.mkv")]) in (2, 3)
    assert capsys.readouterr().err == f"vscugan verify: {message}\n"


def test_a_certificate_of_many_lists_in_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.mkv.cugan.json").write_text("[" * 100_000)
    assert main(["verify", str(folder / "b.mkv")]) == 2
    assert capsys.readouterr().err == (
        "vscugan verify: certificate must be beside the result, got 'b.mkv.cugan.json': maximum recursion depth "
        "exceeded while decoding a JSON array from a unicode string; name a file that vscugan encode made\n"
    )


def test_no_script_is_run_by_the_word_of_a_certificate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = folder / "s.vpy"
    script.write_text(f"open({str(folder / 'ran')!r}, 'w')\n{OWN_UPSCALE}")
    content = certificate(folder)
    content["parameters"]["script"] = "s.vpy"
    content["script_sha256"] = hashlib.sha256(script.read_bytes()).hexdigest()
    write(folder, content)
    content["parameters"]["script_arguments"] = {"x": "1", "y": "2"}
    write(folder, content)
    named = ("--script", str(script))
    for words, message in (
        (named, "arg must be named, since the script is given it, got the certificate's word for 'x=1', 'y=2'; look "
                "into it, then name it by --arg"),
        ((*named, "--arg", "x=1"), "arg must be named, since the script is given it, got the certificate's word for "
                                   "'y=2'; look into it, then name it by --arg"),
        ((*named, "--arg", "x=1", "--arg", "y=3", "--arg", "z="), "arg must be the certificate's, got 'y=3', 'z='; "
                                                                  "look into it"),
        ((), "script must be named, since it is run, got the certificate's word for 's.vpy'; look into it, then name "
             "it by --script"),
        (("--script", str(folder / "t.vpy")), "script must be there, got no 't.vpy'; name it by --script"),
        (("--script", str(folder / "a.mkv")), "script must be the certificate's, got another sha256 of 'a.mkv'; look "
                                              "into it"),
    ):  # fmt: skip
        assert main(["verify", str(folder / "b.mkv"), *words]) == 2
        assert capsys.readouterr().err == f"vscugan verify: {message}\n"
    assert not (folder / "ran").exists()
    frames = report(folder, capsys, 0, *named, "--arg", "x=1", "--arg", "y=2")["frames"]
    assert (folder / "ran").exists()
    assert [(frame["same"], frame["detail"]) for frame in frames] == [(True, None)] * 2  # it may add or take detail


@pytest.mark.parametrize(
    ("words", "what", "got"), [(("--script", "s.vpy"), "script", "'s.vpy'"), (("--arg", "x=1"), "arg", "'x=1'")]
)
def test_what_the_certificate_has_not_is_not_given(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], what: str, got: str
) -> None:
    assert main(["verify", str(folder / "b.mkv"), *words]) == 2
    assert capsys.readouterr().err == (
        f"vscugan verify: {what} must be left out, got {got} and a certificate of no script; leave out --{what}\n"
    )


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
