"""A certificate may lie: it is compared with itself and checked like the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.certificates import FRAMES, certificate, write

from vscugan.__main__ import main
from vscugan.encode.certificate import certificate as module
from vscugan.encode.certificate.certificate import fingerprint
from vscugan.encode.certificate.certificate_file import contradictions
from vscugan.engine.device_choice import Gpu
from vscugan.runtime.device import Adapter, Device

Certificate = dict[str, Any]


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
         "noise must be conservative, no-denoise, denoise0x, denoise1x, denoise2x, denoise3x or -1 to 3, got "
         "\\x1b[2J; -1 is no-denoise, and 0 is conservative, as in vs-mlrt, or waifu2x's denoise0x"),
        (lambda c: c["parameters"].update(chunk_s=10**400), "parameters must be those of encode, got chunk_s of "
                                                            "another type; give them on the command line"),
        (lambda c: c["chunks"][0].update(tile=64), "certificate must be as vscugan wrote it, got chunk 0: tile of "
                                                   "another type in 'b.mkv.cugan.json'; name a file that vscugan "
                                                   "encode made"),
        (lambda c: c.update(form="\x1b[2J"), "certificate must be of form 2, got \\x1b[2J; use the "
                                             "vscugan that wrote it"),
        (lambda c: c.update(form=1), "certificate must be of form 2, got 1; use the vscugan "
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


@pytest.mark.parametrize(
    ("runtime", "packages"),
    [
        ("torch", {"torch"}), ("tensorrt", {"onnxruntime"}), ("directml", {"onnxruntime"}),
        ("openvino, torch", {"openvino", "torch"}), ("torch, tensorrt", {"onnxruntime", "torch"}), ("", set()),
        ("no such one, torch", {"torch"}), ("webgpu", {"onnxruntime", "onnxruntime_ep_webgpu"}),
    ],
)  # fmt: skip
def test_the_versions_that_decide_on_the_pictures(runtime: str, packages: set[str]) -> None:
    """A runtime's package counts where both sides name it: what was written before may lack it."""
    pictures = {"vscugan", "vapoursynth", "vapoursynth-bestsource"}
    runtimes = ("torch", "openvino", "onnxruntime", "onnxruntime_ep_webgpu")
    now = dict.fromkeys((*pictures, *runtimes, "numpy", "av"), "1")
    facts = {"made_by": {"runtime": runtime, "tile": "64"}, "versions": now}
    same = fingerprint(facts, now)
    assert same == {"made_by": {"runtime": runtime}, "versions": dict.fromkeys(pictures | packages, "1")}
    assert fingerprint(facts | {"versions": dict.fromkeys(now, "2")}, now) != same
    for package in packages:
        older = {name: number for name, number in now.items() if name != package}
        assert fingerprint(facts | {"versions": older}, now) == fingerprint(facts, older)
    for package in pictures:
        older = {name: number for name, number in now.items() if name != package}
        assert fingerprint(facts | {"versions": older}, now) != fingerprint(facts, older)


def test_a_gpu_is_described_whoever_else_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter(name="4090", driver="NVIDIA 580")
    of_torch = Gpu(adapter=adapter, of_torch=Device("cuda"), reached_by=("ncnn",))
    monkeypatch.setattr(module, "gpus", lambda: [of_torch])
    assert module.hardware("gpu:0, cpu")["gpu:0"] == "4090, NVIDIA 580"
