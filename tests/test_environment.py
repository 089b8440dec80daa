"""The set-up script's messages when something is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "scripts" / "_environment.sh"


def bash(commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source '{SCRIPT}'\n{commands}"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_interpreter_says_how_to_get_one() -> None:
    run = bash("works() { return 1; }; find_python")
    assert run.returncode == 1
    assert run.stderr.startswith("vscugan needs Python 3.12 or newer with venv, and found none that runs.\n")
    assert "apt-get install" in run.stderr
    assert "PYTHON=/path/to/python3.12" in run.stderr


def test_no_compiler_says_how_to_get_one() -> None:
    run = bash("unset CXX; PATH=/nowhere; has_compiler")
    assert run.returncode == 1
    assert run.stderr.startswith("vscugan needs a C++ compiler to build its plugin, and found none.\n")
    assert "apt-get install g++" in run.stderr


def test_a_shim_that_refuses_to_run_is_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    run = bash(f"PATH={tmp_path}:$PATH; PYTHON={shim}; find_python")
    assert run.stdout.strip() != str(shim)
    assert run.returncode == 0, run.stderr


def test_missing_headers_say_how_to_get_them(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.12.0" && exit 0\nexit 1\n')
    bare.chmod(0o755)
    run = bash(f"has_headers {bare}")
    assert run.returncode == 1
    assert run.stderr.startswith(
        "vscugan needs the headers of Python 3.12.0 to build its plugin, and found no Python.h.\n"
    )
    assert "apt-get install python3-dev" in run.stderr
