"""Translated pages have the headings and the code of the English ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.code_blocks import DOCS, ROOT, TRANSLATED, blocks_of

#: each translation with the page that it is of
PAIRS = {page: DOCS / page.relative_to(TRANSLATED) for page in sorted(TRANSLATED.rglob("*.md"))}
PAIRS |= dict.fromkeys(ROOT.glob("README.*.md"), ROOT / "README.md")
SWITCH = """extra:
  alternate:
    - { name: English, link: ./, lang: en }
    - { name: 中文, link: ./zh/, lang: zh }
"""


def headings(page: str) -> list[str]:
    """The levels of a page's headings, as they are written."""
    for block in blocks_of(page):
        page = page.replace(block.code, "")
    return re.findall(r"^(#+) ", page, re.MULTILINE)


def code(page: str) -> list[tuple[str, str, bool]]:
    """Each block without its comments, but for the name of a script, and whether it is left out."""
    found = []
    for block in blocks_of(page):
        name = re.match(r"# \S+\.vpy", block.code)
        lines = (re.sub(r"(^|\s)\s*#.*", "", line).rstrip() for line in block.code.splitlines())
        text = "\n".join(filter(None, [name[0] if name else "", *lines]))
        found.append((block.kind, text, bool(block.skipped)))
    return found


def test_comments_may_be_translated_and_code_may_not() -> None:
    english = "# One\n\n```sh\n# a comment\nls -l  # all\n```\n\n## Two\n"
    same = "# 一\n\n```sh\n# 注释\nls -l   # 全部\n```\n\n## 二\n"
    assert headings(english) == headings(same) == ["#", "##"]
    assert code(english) == code(same) == [("sh", "ls -l", False)]
    assert code(english) != code(english.replace("-l", "-a"))
    assert code(english) != code(english.replace("```sh\n# a", "<!-- not run: x -->\n```sh\n# a"))
    assert code("```vpy\n# a.vpy\n1\n```\n") != code("```vpy\n# b.vpy\n1\n```\n")


@pytest.mark.parametrize("page", PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_translation_is_complete(page: Path) -> None:
    english, translated = (path.read_text(encoding="utf-8") for path in (PAIRS[page], page))
    assert headings(translated) == headings(english)
    assert code(translated) == code(english)


@pytest.mark.skipif(not TRANSLATED.exists(), reason="there are no translated pages yet")
def test_the_whole_guide_is_translated_and_can_be_switched_to() -> None:
    pages = {page.relative_to(DOCS) for page in [DOCS / "index.md", *(DOCS / "guide").glob("*.md")]}
    assert pages <= {page.relative_to(TRANSLATED) for page in TRANSLATED.rglob("*.md")}
    assert SWITCH in (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), "add the switch of languages"
