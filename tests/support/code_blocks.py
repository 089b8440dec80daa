"""The code blocks of the pages that people read, and the folder in which they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vapoursynth as vs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TRANSLATED = DOCS / "zh"
#: the blocks of translations are those of the pages that they translate
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if TRANSLATED not in page.parents)]
#: kinds that run, and kinds that are only read
RUN, READ = ("sh", "python", "vpy"), ("text", "powershell", "toml", "json", "yaml", "cpp", "csv")
TIMEOUT_S = 120
#: a fence, with the comment above it
_FENCE = re.compile(
    r"^(?: *<!-- (?P<word>not run|needs): (?P<value>\S[^\n]*?) -->\n+)?"
    r"(?P<indent> *)```(?P<kind>\S*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
#: stands before Python's own pip: installs nothing, and knows the extras
PIP = """
import re, sys
extras = {extras}
for argument in sys.argv[1:]:
    if found := re.fullmatch(r"(?:\\.|vscugan|.*\\.whl)\\[(.*)\\].*", argument):
        if unknown := set(re.split(", *", found[1])) - extras:
            sys.exit(f"pip: extras must be in pyproject.toml, got {{', '.join(sorted(unknown))}}")
"""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A code block: ``line`` is that of its first code, from 1; ``skipped`` says why it does not run, if so."""

    kind: str
    code: str
    line: int
    skipped: str = ""
    needs: tuple[str, ...] = ()


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _FENCE.finditer(page):
        indent, value = found["indent"], found["value"] or ""
        code = re.sub(f"^{indent}", "", found["code"], flags=re.MULTILINE)
        yield Block(
            kind=found["kind"],
            code=code,
            line=page.count("\n", 0, found.start("code")) + 1,
            skipped=value if found["word"] == "not run" else "",
            needs=tuple(re.split(", *", value)) if found["word"] == "needs" else (),
        )


def extras() -> set[str]:
    """The extras that pip knows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def write_programs(folder: Path) -> None:
    """Programs that would change the machine, as such that do nothing; pip checks what it is asked for."""
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(PIP.format(extras=extras()))
    programs = folder / "bin"
    programs.mkdir()
    for name, line in {"pip": f'exec "{sys.executable}" -m pip "$@"', "sudo": 'exec "$@"', "apt-get": "exit 0"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)


def run_shell(code: str, folder: Path, programs: Path) -> None:
    """Run a block as bash would: the environment's programs are on PATH, and the first line that fails ends it."""
    path = os.pathsep.join([str(programs / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", code], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False, env={**os.environ, "PATH": path, "PYTHONPATH": str(programs)},
    )  # fmt: skip
    assert run.returncode == 0, f"{code}\nexit code {run.returncode}\n{run.stdout}{run.stderr}"


def run_python(code: str, page: Path, line: int, names: dict[str, Any]) -> None:
    """Run a block with the names of the page; clips that it makes are asked for their first frame."""
    before = dict(names)
    exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
    for name, value in names.items():
        if isinstance(value, vs.VideoNode) and value is not before.get(name):
            value.get_frame(0).close()


def run_script(code: str, folder: Path, names: dict[str, Any]) -> None:
    """Write a script by the name in its first line, and ask its output for a frame."""
    found = re.match(r"# (\S+\.vpy)\b", code)
    assert found, f"the first line of a script must be its name, as in # my.vpy, got {code.splitlines()[0]!r}"
    script = folder / found[1]
    script.write_text(code, encoding="utf-8")
    exec(compile(code, str(script), "exec"), {"__name__": "__vapoursynth__", "__file__": str(script), **names})
    output = vs.get_output(0)
    assert isinstance(output, vs.VideoOutputTuple)
    output.clip.get_frame(0).close()
