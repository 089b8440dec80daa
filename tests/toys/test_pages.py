"""The code in the pages for contributors is that of files which the tests run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXCERPT = re.compile(r"<!-- not run: an excerpt of (\S+) -->\n```python\n(.+?)```\n", re.DOTALL)


@pytest.mark.parametrize("page", ["add-a-model", "add-a-runtime", "add-an-option"])
def test_code_is_a_part_of_the_file_that_is_named(page: str) -> None:
    text = (ROOT / "docs" / "contributing" / f"{page}.md").read_text(encoding="utf-8")
    found = EXCERPT.findall(text)
    assert len(found) == text.count("```python") > 1
    for name, code in found:
        assert code in (ROOT / name).read_text(encoding="utf-8"), f"copy what has changed in {name} into {page}.md"
