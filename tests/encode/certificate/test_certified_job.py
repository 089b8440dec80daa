"""Nothing is run by the word of a certificate."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.certificates import certificate, report, write

from vscugan.__main__ import main

#: a script of the user's own that makes what the fixture makes
OWN_UPSCALE = """import vapoursynth as vs
options = dict(noise="denoise1x", segment=2, device="cpu", backend="torch", format=vs.YUV420P10)
vs.core.cugan.Upscale(clip, **options, report=1).set_output()
"""


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
    for argv, message in (
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
        assert main(["verify", str(folder / "b.mkv"), *argv]) == 2
        assert capsys.readouterr().err == f"vscugan verify: {message}\n"
    assert not (folder / "ran").exists()
    frames = report(folder, capsys, 0, *named, "--arg", "x=1", "--arg", "y=2")["frames"]
    assert (folder / "ran").exists()
    assert [(frame["same"], frame["detail"]) for frame in frames] == [(True, None)] * 2  # it may add or take detail


@pytest.mark.parametrize(
    ("argv", "what", "got"), [(("--script", "s.vpy"), "script", "'s.vpy'"), (("--arg", "x=1"), "arg", "'x=1'")]
)
def test_what_the_certificate_has_not_is_not_given(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], what: str, got: str
) -> None:
    assert main(["verify", str(folder / "b.mkv"), *argv]) == 2
    assert capsys.readouterr().err == (
        f"vscugan verify: {what} must be left out, got {got} and a certificate of no script; leave out --{what}\n"
    )
