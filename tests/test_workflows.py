"""GitHub's workflows have never run; a linter reads them, and their commands are those of the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflows_follow_the_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema, the linter, is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    run = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_files_that_a_workflow_names_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# This workflow has never run")
    words = [word for word in text.split() if word.startswith(("tests/", "scripts/", ".ci/", "./.github/"))]
    assert [word for word in words if not (ROOT / word).exists()] == []
