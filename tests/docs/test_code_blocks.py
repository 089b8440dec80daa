"""Every code block of the README and of docs/ runs, each page in a folder of its own, in the order of the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs
from PIL import Image
from support.code_blocks import (
    PAGES,
    READ,
    ROOT,
    RUN,
    Block,
    blocks_of,
    run_python,
    run_script,
    run_shell,
    write_programs,
)
from support.media import FAST, ffmpeg, picture, plain, sound

SUBTITLES = "1\n00:00:00,100 --> 00:00:00,900\nhello\n"
#: blocks that change nothing and stand in many pages: the first one is run
DOCTOR = ("vscugan doctor\n", "python -m vscugan doctor\n")
SCRIPT = 'import vapoursynth as vs\nvs.core.bs.VideoSource("episode.mkv").set_output()\n'
CHAPTERS = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=one\n"
BLOCKS = {page: list(blocks_of(page.read_text(encoding="utf-8"))) for page in PAGES}
REPEATED = [id(block) for page in PAGES for block in BLOCKS[page] if block.code in DOCTOR][1:]
WITH_CODE = [page for page in PAGES if any(b.kind in RUN and not b.skipped for b in BLOCKS[page])]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages may name: ``episode.mkv``, a season of two, ``picture.png``, and ``in.vpy``."""
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
    (folder / "in.vpy").write_text(SCRIPT)
    Image.radial_gradient("L").resize((64, 48)).convert("RGB").save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs") / "all"
    write_programs(folder)
    return folder


def test_a_block_is_found_with_what_stands_above_it() -> None:
    page = (
        "a\n```sh\nls\n```\n<!-- not run: too slow -->\n\n```python\n1 + 1\n```\n"
        "- item\n\n  <!-- needs: x264, x265 -->\n  ```sh\n  x264 \\\n    in\n  ```\n```text\n<b>\n```\n"
    )
    assert list(blocks_of(page)) == [
        Block(kind="sh", code="ls\n", line=3),
        Block(kind="python", code="1 + 1\n", line=8, skipped="too slow"),
        Block(kind="sh", code="x264 \\\n  in\n", line=14, needs=("x264", "x265")),
        Block(kind="text", code="<b>\n", line=18),
    ]


def test_pip_checks_extras_and_installs_nothing(programs: Path, tmp_path: Path) -> None:
    run_shell('pip install ".[encode,waifu2x]" "vscugan[gpu]" requests && sudo apt-get install g++', tmp_path, programs)
    with pytest.raises(AssertionError, match=r"pip: extras must be in pyproject\.toml, got encoder\n"):
        run_shell('python -m pip install ".[encoder,gpu]"\ntrue', tmp_path, programs)


def test_what_a_block_makes_is_looked_at(tmp_path: Path) -> None:
    names: dict[str, Any] = {"core": vs.core, "vs": vs}
    run_python("clip = core.std.BlankClip(width=8, height=8)\n", Path("page.md"), 3, names)
    assert names["clip"].width == 8
    with pytest.raises(vs.Error, match="loud"):  # when its first frame is asked for
        run_python("bad = core.std.FrameEval(clip, lambda n: exec('raise vs.Error(\"loud\")'))", Path("p.md"), 1, names)
    with pytest.raises(AssertionError, match=r"^the first line of a script must be its name, as in # my\.vpy, got 'i"):
        run_script("import vs\n", tmp_path, {})


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
        if block.skipped or id(block) in REPEATED or not all(map(shutil.which, block.needs)):
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
