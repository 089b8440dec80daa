"""Nothing that is finished is lost: kills, a full disk, locks, changed parameters, the end of a run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import media

from vscugan.encode.job.work_folder import check_folder
from vscugan.files import sha256

#: VSCUGAN_KILLS=60 makes more of them
KILLS = int(os.environ.get("VSCUGAN_KILLS", "12"))
CHUNKS_A_KILL = 2
#: each frame waits, so that an encode lasts for many kills
SLOW = """import time
import vapoursynth as vs
def wait(n, f):
    time.sleep(0.008)
    return f
out = vs.core.resize.Bicubic(clip, 96, 64)
out.std.ModifyFrame(out, wait).set_output()
"""
GONE_S = 8.0
ENCODER = ("--", "--preset", "ultrafast")


def command(folder: Path, output: str, *words: object) -> list[str]:
    own = ("--script", folder / "slow.vpy", "--chunk", 1, "--encoder", "x264", *words)
    return list(media.command("encode", folder / "in.mkv", "-o", folder / output, *own, *ENCODER))


@pytest.fixture(autouse=True)
def _ctrl_c_works() -> None:
    """A shell's background job ignores Ctrl-C, and its children with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "slow.vpy").write_text(SLOW)
    return tmp_path


def run(folder: Path, output: str, *words: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, output, *words), capture_output=True, text=True, check=False, **kwargs)


def journal(folder: Path, output: str) -> list[dict[str, object]]:
    path = folder / f"{output}.vscugan" / "journal.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def finished(folder: Path, output: str) -> list[int]:
    return [entry["chunk"] for entry in journal(folder, output) if entry["kind"] == "chunk"]  # type: ignore[misc]


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    assert not [p.cmdline() for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def family(parent: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Worker first, then what it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(parent.pid).children(recursive=True)
    return []


def wait_for_a_moment(folder: Path, rng: random.Random) -> None:
    """While it starts, or some time after one more chunk is finished."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0.02, 1.2))
        return
    count, end = len(finished(folder, "out.mkv")), time.monotonic() + 4
    while len(finished(folder, "out.mkv")) == count and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, 0.2))


def kill_one(folder: Path, kind: str, rng: random.Random) -> None:
    """Start a run, kill one part of it after a while, and see that nothing stays."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))) if kind == "disk" else None
    parent = subprocess.Popen(
        command(folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit
    )
    wait_for_a_moment(folder, rng)
    members = family(parent)
    victims = {"parent": [], "worker": members[:1], "encoder": members[1:], "all": members, "disk": []}[kind]
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    if kind in ("parent", "all"):
        parent.kill()
    if kind in ("worker", "encoder"):
        try:
            parent.wait(0.5)
        except subprocess.TimeoutExpired:  # there was none yet, or it had all its frames already: Ctrl-C instead
            parent.send_signal(signal.SIGINT)
    if kind == "disk":
        time.sleep(0.2)
        parent.terminate()
    parent.wait(GONE_S + 20)
    assert_gone(members)


def test_kills_lose_nothing(folder: Path) -> None:
    chunks = max(8, round(KILLS * CHUNKS_A_KILL))
    media.plain(folder / "in.mkv", frames=24 * chunks)
    whole = run(folder, "whole.mkv")
    assert whole.returncode == 0, whole.stderr
    rng = random.Random(6)
    kinds = ["parent", "worker", "encoder", "all", "disk"]
    before: list[dict[str, object]] = []
    kills = 0
    while kills < KILLS:
        kill_one(folder, kinds[kills % len(kinds)], rng)
        kills += 1
        assert not (folder / "out.mkv").exists()
        now = [entry for entry in journal(folder, "out.mkv") if entry["kind"] == "chunk"]
        assert now[: len(before)] == before  # what was finished stays as it was
        before = now
    kept = finished(folder, "out.mkv")
    last = run(folder, "out.mkv", "--keep-work")
    assert last.returncode == 0, last.stderr
    all_of_them = finished(folder, "out.mkv")
    assert sorted(all_of_them) == list(range(chunks))  # none twice
    assert all_of_them[: len(kept)] == kept
    assert media.frame_hashes(folder / "out.mkv") == media.frame_hashes(folder / "whole.mkv")
    print(f"kills: {kills}, finished by then: {len(kept)} of {chunks} chunks")


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 120 KiB, for those who may mount one."""
    place = folder / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", place], check=False).returncode:
        pytest.skip("mounting needs rights")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_costs_only_what_does_not_fit(folder: Path, small_disk: Path) -> None:
    media.plain(folder / "in.mkv", frames=24 * 20)
    full = run(folder, "disk/out.mkv")
    assert full.returncode == 7
    assert full.stderr.startswith("vscugan encode: disk must have room, got 0 MiB left in disk (")
    kept = finished(folder, "disk/out.mkv")
    assert 0 < len(kept) < 20
    subprocess.run(["mount", "-o", "remount,size=300k", small_disk], check=True)
    muxed = run(folder, "disk/out.mkv")  # the chunks fit now, the file does not
    assert muxed.returncode == 7
    assert muxed.stderr.startswith("vscugan encode: finished file must be writable, got ")
    assert muxed.stderr.endswith(" with 0 MiB left; all chunks are kept: make room, then run the same command again\n")
    assert not (small_disk / "out.mkv").exists()
    assert finished(folder, "disk/out.mkv")[: len(kept)] == kept
    assert sorted(finished(folder, "disk/out.mkv")) == list(range(20))  # none twice
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    assert run(folder, "disk/out.mkv").returncode == 0
    assert run(folder, "whole.mkv").returncode == 0
    assert media.frame_hashes(small_disk / "out.mkv") == media.frame_hashes(folder / "whole.mkv")


@pytest.mark.parametrize("moment", ["mux", "check"])
def test_a_kill_while_the_file_is_written(folder: Path, moment: str) -> None:
    media.plain(folder / "in.mkv", frames=48)
    with subprocess.Popen(command(folder, "out.mkv", "--json"), stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        for line in parent.stdout:
            if json.loads(line)["event"] == moment:
                break
        members = family(parent)
        for process in members:
            process.kill()
        parent.kill()
    assert_gone(members)
    again = run(folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 2 of 2 chunks finished" in again.stdout or again.stdout.startswith("done")
    assert len(media.frame_hashes(folder / "out.mkv")) == 48
    assert sorted(p.name for p in folder.iterdir()) == ["in.mkv", "out.mkv", "out.mkv.cugan.json", "slow.vpy"]


def test_the_next_run_says_what_it_found(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24 * 20)
    parent = subprocess.Popen(command(folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(finished(folder, "out.mkv")) < 3:
        time.sleep(0.02)
    members = family(parent)
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == 130
    assert said == b"vscugan encode: interrupted; run the same command again to go on\n"
    assert_gone(members)
    count = len(finished(folder, "out.mkv"))
    work = folder / "out.mkv.vscugan"
    assert not (folder / "out.mkv").exists()

    changed = run(folder, "out.mkv", "--arg", "x=1")
    assert changed.returncode == 4
    assert changed.stderr == (
        "vscugan encode: parameters must be as in the run before, got a difference: script-arguments.x was left out, "
        "now 1; run it as before, or say --restart to throw the finished chunks away\n"
    )
    with open(folder / "in.mkv", "r+b") as file:
        old = file.read()
        file.seek(len(old) // 2)
        file.write(b"x")
    other = run(folder, "out.mkv")
    assert other.returncode == 4
    assert "source must be as in the run before, got a difference: source.sha256 was" in other.stderr
    (folder / "in.mkv").unlink()
    missing = run(folder, "out.mkv")
    assert missing.returncode == 3
    assert missing.stderr.startswith("vscugan encode: source must be a readable file, got 'in.mkv': No such file")
    (folder / "in.mkv").write_bytes(old)

    damaged = sorted((work / "chunks").iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with open(work / "journal.jsonl", "ab") as file:
        file.write(b'{"kind":"chunk","chu')  # torn by a power loss
    (work / "temp" / "000009.mkv").write_bytes(b"half")
    resume = [*media.command("encode", folder / "in.mkv", "-o", folder / "out.mkv", "--resume")]
    unnamed = subprocess.run(resume, capture_output=True, text=True, check=False)
    assert unnamed.returncode == 4
    assert unnamed.stderr == (
        "vscugan encode: what is run must be named again with --resume, got it from out.mkv.vscugan/plan.json alone; "
        f"where it is yours, add: --script {folder / 'slow.vpy'}\n"
    )
    again = subprocess.run(
        [*resume, "--script", str(folder / "slow.vpy")], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert (
        f"found {count - 1} of 20 chunks finished ({(count - 1) * 24} frames); going on from there; chunks 1 are "
        "damaged or gone and are made again; the journal's last line was torn and is dropped"
    ) in again.stdout
    assert not work.exists()
    assert len(media.frame_hashes(folder / "out.mkv")) == 480


def test_programs_are_told_of_ctrl_c(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24 * 20)
    parent = subprocess.Popen(command(folder, "out.mkv", "--json"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout
    events = []
    for line in parent.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "chunk":
            parent.send_signal(signal.SIGINT)
            break
    events += [json.loads(line) for line in parent.stdout]
    assert parent.wait(30) == 130
    assert events[-1] == {"event": "interrupted", "code": 130}
    assert (folder / "out.mkv.vscugan").is_dir()


def test_a_source_that_goes_away_meanwhile_costs_nothing(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24 * 20)
    parent = subprocess.Popen(command(folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len(finished(folder, "out.mkv")) < 1:
        time.sleep(0.02)
    (folder / "in.mkv").rename(folder / "away.mkv")
    _, said = parent.communicate(timeout=60)
    assert parent.returncode == 3
    assert said.decode() == (
        "vscugan encode: source must stay as it is during the encode, got 'in.mkv' changed or gone; put the old file "
        "back and run the same command again, or say --restart\n"
    )
    assert len(finished(folder, "out.mkv")) == 20
    (folder / "away.mkv").rename(folder / "in.mkv")
    again = run(folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 20 of 20 chunks finished (480 frames); going on from there" in again.stdout
    assert len(media.frame_hashes(folder / "out.mkv")) == 480


def test_a_second_run_is_refused_until_the_first_is_gone(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24 * 30)
    first = subprocess.Popen(command(folder, "out.mkv"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(finished(folder, "out.mkv")) < 1:
        time.sleep(0.02)
    second = run(folder, "out.mkv")
    assert second.returncode == 5
    assert second.stderr == (
        f"vscugan encode: work folder out.mkv.vscugan must be free, got one that process {first.pid} works in; "
        "wait for it, or end it and run this again\n"
    )
    members = family(first)
    first.kill()
    first.wait()
    assert_gone(members)
    assert run(folder, "out.mkv").returncode == 0  # the lock went with its holders


def test_an_output_is_never_overwritten_unasked(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24)
    (folder / "out.mkv").write_bytes(b"mine")
    refused = run(folder, "out.mkv")
    assert refused.returncode == 4
    assert refused.stderr == (
        "vscugan encode: output must not exist yet, got 'out.mkv'; name another one, or say --overwrite\n"
    )
    assert (folder / "out.mkv").read_bytes() == b"mine"
    assert run(folder, "in.mkv", "--overwrite").returncode == 4
    assert run(folder, "out.mkv", "--overwrite").returncode == 0
    assert len(media.frame_hashes(folder / "out.mkv")) == 24


def test_a_foreign_folder_is_left_alone(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24)
    work = folder / "out.mkv.vscugan"
    work.mkdir()
    (work / "diary.txt").write_text("mine")
    refused = run(folder, "out.mkv")
    assert refused.returncode == 4
    assert "work folder must hold nothing else, got 'diary.txt' in 'out.mkv.vscugan'" in refused.stderr
    assert (work / "diary.txt").read_text() == "mine"


def test_a_crash_between_publishing_and_tidying_is_mended(folder: Path) -> None:
    media.plain(folder / "in.mkv", frames=24)
    assert run(folder, "out.mkv", "--keep-work").returncode == 0
    content, certificate = (folder / "out.mkv").read_bytes(), folder / "out.mkv.cugan.json"
    work = folder / "out.mkv.vscugan"
    for name, change, what in (
        ("slow.vpy", lambda path: path.write_text(SLOW + "# edited\n"), "script must be as in the run before, got a "
         "difference: script-sha256 was {}, now {}"),
        ("in.mkv", lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "source must be as in the run before, "
         "got a difference: source.sha256 was {}, now {}"),
    ):  # fmt: skip
        before, old = sha256(folder / name), (folder / name).read_bytes()
        change(folder / name)
        changed = run(folder, "out.mkv", "--overwrite", "--keep-work")
        assert changed.returncode == 4
        assert changed.stderr == (
            f"vscugan encode: {what.format(before, sha256(folder / name))}; run it as before, or say --restart to "
            "throw the finished chunks away\n"
        )
        (folder / name).write_bytes(old)
    (folder / "out.mkv").rename(work / "result.mkv")
    (folder / "out.mkv").write_bytes(b"mine")
    certificate.write_bytes(b"mine too")
    foreign = run(folder, "out.mkv")
    assert foreign.returncode == 7
    assert foreign.stderr == (
        "vscugan encode: output must not exist yet, got 'out.mkv', which came up meanwhile; move it away, then run the "
        "same command again\n"
    )
    assert ((folder / "out.mkv").read_bytes(), certificate.read_bytes()) == (b"mine", b"mine too")
    (folder / "out.mkv").unlink()
    again = run(folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("done: ")
    assert json.loads(certificate.read_text())["result"]["sha256"] == sha256(folder / "out.mkv")
    assert not (folder / "out.mkv.vscugan").exists()
    assert (folder / "out.mkv").read_bytes() == content


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (
            "from vscugan.encode.worker import encode_run\nencode_run.check_format = lambda *_: 1 / 0\n", 70,
            "internal error, please report it with out.mkv.vscugan/worker.log: ZeroDivisionError: division by zero",
        ),
        (
            "import os\nos.kill(os.getpid(), 9)\n", 9,
            "worker must finish, got its end by SIGKILL; if memory ran out, name a smaller --memory or --tile; run the "
            "same command again to go on",
        ),
        (
            "import os\nos.write(2, b'the last words\\n')\nlogging.warning('tile: 64')\nos._exit(3)\n", 9,
            "worker must finish, got exit code 3: the last words; run the same command again to go on",
        ),
    ],
    ids=["internal", "killed", "ended"],
)  # fmt: skip
def test_the_log_of_what_must_be_reported_is_kept(folder: Path, fault: str, code: int, message: str) -> None:
    media.plain(folder / "in.mkv", frames=3)
    (folder / "slow.vpy").write_text(f"import logging\nlogging.info('tile: 128')\n{fault}{media.RESIZE}")
    failed = run(folder, "out.mkv")
    assert failed.returncode == code, failed.stderr
    assert failed.stderr == f"vscugan encode: {message}\n"
    assert "tile: 128" in (folder / "out.mkv.vscugan" / "worker.log").read_text(encoding="utf-8")
    check_folder(folder / "out.mkv.vscugan")  # nothing of it is in the way of the next run


def test_a_script_whose_frames_report_different_things_is_resumed(folder: Path) -> None:
    """Frame 0's report decides, whichever frame is the first missing one."""
    media.plain(folder / "in.mkv", frames=48)
    spliced = "made = out.std.SetFrameProps(CuganRuntime='torch')\nout = made[:24] + out[24:]\nout.std.ModifyFrame"
    (folder / "slow.vpy").write_text(SLOW.replace("out.std.ModifyFrame", spliced))
    assert run(folder, "out.mkv", "--keep-work").returncode == 0
    (folder / "out.mkv").unlink()
    path = folder / "out.mkv.vscugan" / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    again = run(folder, "out.mkv")
    assert again.returncode == 0, again.stderr
    assert "found 1 of 2 chunks finished" in again.stdout
    assert json.loads((folder / "out.mkv.cugan.json").read_text())["made_by"] == {"runtime": "torch"}
