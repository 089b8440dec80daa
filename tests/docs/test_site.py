"""The documentation as a site: it builds without a warning, loads nothing from elsewhere, and says for whom it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.code_blocks import DOCS, ROOT, TRANSLATED

#: an address that a browser would load with the page
LOADED = re.compile(r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="https?://')
#: a list or a table that Markdown took for text, most often because the empty line before it is missing
UNREAD = re.compile(r"<p>[^<]*\n(?:- |\* |\d+\. |\| )")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-P", "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    return folder


def test_every_page_is_on_the_site_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = {page.relative_to(DOCS).with_suffix("") for page in DOCS.rglob("*.md")}
    for page in pages:
        html = (site / (page.parent if page.name == "index" else page) / "index.html").read_text(encoding="utf-8")
        assert not LOADED.search(html), f"{page} loads something from elsewhere"
        assert not UNREAD.search(html), f"{page} shows a list or a table as text: put an empty line before it"


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_pages_that_are_not_on_the_site_lead_somewhere(page: Path, site: Path) -> None:
    """mkdocs checks those of docs/."""
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#]+)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        file = ROOT / target
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            html = (site / file.relative_to(DOCS).with_suffix("") / "index.html").read_text(encoding="utf-8")
            assert f'id="{anchor}"' in html, f"{page.name} links to {target}#{anchor}, which is not there"


def test_the_functions_are_described_from_their_docstrings(site: Path) -> None:
    html = (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    for name in ("vscugan.upscale", "vscugan.describe"):
        assert f'id="{name}"' in html


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_says_for_whom_it_is(page: Path) -> None:
    """In a line of its own below the title, in italics."""
    start = r"\*" if TRANSLATED in page.parents else r"\*For "
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# .+\n\n{start}[^*]+\*\n(\n|\Z)", text), "write *For users who ...* below the title"
