"""Files beside the code that must go with it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import vscugan

ROOT = Path(__file__).parent.parent


def test_each_script_has_its_line() -> None:
    readme = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    lines = Counter(re.findall(r"^\| `([^`]+)` \|", readme, re.MULTILINE))
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()} - {"README.md"}
    assert scripts <= lines.keys(), f"add a line to scripts/README.md for {', '.join(sorted(scripts - lines.keys()))}"
    assert lines.keys() <= scripts, f"remove from scripts/README.md {', '.join(sorted(lines.keys() - scripts))}"
    assert set(lines.values()) == {1}


def test_who_cites_names_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {vscugan.__version__}\n" in citation, "write the new version into CITATION.cff"
