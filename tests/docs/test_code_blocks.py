"""Every code block of the README and of docs/ runs, each page in a folder of its own, in the order of the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from PIL import Image
from support.code_blocks import PAGES, READ, ROOT, RUN, blocks_of, run_python, run_script, run_shell, write_programs
from support.media import FAST, ffmpeg, picture, plain, sound

SUBTITLES = "1\n00:00:00,100 --> 00:00:00,900\nhello\n"
CHAPTERS = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n"
BLOCKS = {page: list(blocks_of(page.read_text(encoding="utf-8"))) for page in PAGES}
WITH_CODE = [page for page in PAGES if any(b.kind in RUN and not b.skipped for b in BLOCKS[page])]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages may name: ``episode.mkv``, a season of two, and ``picture.png``."""
    folder = tmp_path_factory.mktemp("media")
    (folder / "season").mkdir()
    (folder / "a.srt").write_text(SUBTITLES)
    (folder / "a.txt").write_text(CHAPTERS)
    ffmpeg(
        *picture(24), *sound(440), "-i", folder / "a.srt", "-i", folder / "a.txt", "-map_chapters", 3, "-pix_fmt",
        "yuv420p", *FAST, "-c:a", "flac", folder / "episode.mkv",
    )  # fmt: skip
    for name in ("a.srt", "a.txt"):
        (folder / name).unlink()
    for name in ("01.mkv", "02.mkv"):
        plain(folder / "season" / name, frames=6)
    Image.radial_gradient("L").resize((64, 48)).convert("RGB").save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs") / "all"
    write_programs(folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_says_what_it_is(page: Path) -> None:
    kinds = {block.kind for block in BLOCKS[page]}
    assert kinds <= {*RUN, *READ}, "blocks must be one of these kinds, so that it is clear whether they run"
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(BLOCKS[page]), "a fence is not closed, or has more than three backticks"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(
    page: Path, media: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(media, folder)
    monkeypatch.chdir(folder)
    clip = vs.core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=5, color=[90, 120, 130])
    names: dict[str, Any] = {"vs": vs, "core": vs.core, "clip": clip}
    text = page.read_text(encoding="utf-8")
    for block in BLOCKS[page]:
        if block.skipped or not all(map(shutil.which, block.needs)):
            continue
        if block.kind == "sh":
            run_shell(block.code, folder, programs)
        elif block.kind == "python":
            run_python(block.code, page, block.line, names)
        elif block.kind == "vpy":
            # what encode hands to a script of one's own
            given = {"clip": clip, "source": str(folder / "episode.mkv"), "args": {}} if "--script" in text else {}
            run_script(block.code, folder, given)
    vs.clear_outputs()
