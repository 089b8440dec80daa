"""A crash between the publishing of a file and the end of its run."""

from __future__ import annotations

import json
from pathlib import Path

from support import media
from support.slow_encode import SLOW, run

from vscugan.files import sha256


def test_a_crash_between_publishing_and_tidying_is_mended(slow_folder: Path) -> None:
    media.plain(slow_folder / "in.mkv", frames=24)
    assert run(slow_folder, "out.mkv", "--keep-work").returncode == 0
    content, certificate = (slow_folder / "out.mkv").read_bytes(), slow_folder / "out.mkv.cugan.json"
    work = slow_folder / "out.mkv.vscugan"
    for name, edited, what in (
        ("slow.vpy", f"{SLOW}# edited\n".encode(), "script must be as in the run before, got a difference: "
         "script-sha256 was {}, now {}"),
        ("in.mkv", (slow_folder / "in.mkv").read_bytes()[:-1] + b"x", "source must be as in the run before, got a "
         "difference: source.sha256 was {}, now {}"),
    ):  # fmt: skip
        before, old = sha256(slow_folder / name), (slow_folder / name).read_bytes()
        (slow_folder / name).write_bytes(edited)
        changed = run(slow_folder, "out.mkv", "--overwrite", "--keep-work")
        assert changed.returncode == 4
        assert changed.stderr == (
            f"vscugan encode: {what.format(before, sha256(slow_folder / name))}; run it as before, or say --restart to "
            "throw the finished chunks away\n"
        )
        (slow_folder / name).write_bytes(old)
    (slow_folder / "out.mkv").rename(work / "result.mkv")
    (slow_folder / "out.mkv").write_bytes(b"mine")
    certificate.write_bytes(b"mine too")
    foreign = run(slow_folder, "out.mkv")
    assert foreign.returncode == 7
    assert foreign.stderr == (
        "vscugan encode: output must not exist yet, got 'out.mkv', which came up meanwhile; move it away, then run the "
        "same command again\n"
    )
    assert ((slow_folder / "out.mkv").read_bytes(), certificate.read_bytes()) == (b"mine", b"mine too")
    (slow_folder / "out.mkv").unlink()
    again = run(slow_folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("done: ")
    assert json.loads(certificate.read_text())["result"]["sha256"] == sha256(slow_folder / "out.mkv")
    assert not (slow_folder / "out.mkv.vscugan").exists()
    assert (slow_folder / "out.mkv").read_bytes() == content
