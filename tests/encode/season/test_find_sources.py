"""Which files a season has."""

from __future__ import annotations

from pathlib import Path

import pytest

from vscugan.encode.season.find_sources import find_sources, is_season
from vscugan.errors import ArgumentError, CuganError, SourceError


@pytest.fixture
def season(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with videos, and what else lies there."""
    monkeypatch.chdir(tmp_path)
    names = "02.mkv", "01.MP4", "extra/01.mkv", "cover.jpg", "out/02.mkv", "03.mkv.vscugan/chunks/x.mkv"
    for name in (f"s/{name}" for name in names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return tmp_path


def found(*names: str, output: str = "out") -> list[tuple[str, str]]:
    here = Path.cwd()
    pairs = find_sources(names, Path(output))
    return [(path.relative_to(here).as_posix(), place.as_posix()) for path, place in pairs]


def test_folders_patterns_and_lists(season: Path) -> None:
    inside = [("s/01.MP4", "01"), ("s/02.mkv", "02"), ("s/extra/01.mkv", "extra/01")]
    assert found("s", output="s/out") == inside
    assert found("s/*.mkv") == [("s/02.mkv", "02")]
    assert found("s/extra", "s/02.mkv", "s/0*.mkv") == [("s/extra/01.mkv", "01"), ("s/02.mkv", "02")]
    Path("s/list.txt").write_text("\ufeff# mine\nextra/01.mkv\n\n  02.mkv\n", encoding="utf-8")
    assert found("s/list.txt") == [("s/extra/01.mkv", "01"), ("s/02.mkv", "02")]


def test_a_second_call_finds_no_results(season: Path) -> None:
    """Whoever expands the pattern, and wherever the results are."""
    for name in ("s/out/01.mkv.cugan.json", "s/out/01.mkv", "s/02.mp4", "s/02.mp4.cugan.json", "s/._02.mkv"):
        Path(name).touch()
    inside = [("s/01.MP4", "01"), ("s/02.mkv", "02"), ("s/extra/01.mkv", "extra/01")]
    flat = [("s/02.mkv", "02"), ("s/extra/01.mkv", "01")]
    assert found("s", output="s/out") == inside
    assert found("s/**/*.mkv", output="s/out") == flat
    Path("s/out/02.mkv").unlink()
    assert found("s", output="s") == inside
    expanded = [str(path) for path in sorted(Path("s").iterdir()) if not path.name.startswith((".", "cover", "extra"))]
    assert found(*expanded, output="s") == [("s/01.MP4", "01"), ("s/02.mkv", "02")]
    expanded.remove(str(Path("s/02.mp4")))  # a result, but not of this output folder: it is meant
    assert found(*expanded, output="s/out") == [("s/01.MP4", "01"), ("s/02.mkv", "02")]
    assert found("s/out/01.mkv") == [("s/out/01.mkv", "01")]
    with pytest.raises(SourceError, match=r"^sources must hold videos that are no results, got only results of"):
        found("s/out", "s/out/01.mkv", output="s/out")


def test_brackets_and_names_of_one_file(season: Path) -> None:
    Path("[BD] S").mkdir()
    for name in ("[BD] S/[x] 1.mkv", "[BD] S/2.mkv"):
        Path(name).touch()
    assert found("[BD] S/*.mkv") == [("[BD] S/2.mkv", "2"), ("[BD] S/[x] 1.mkv", "[x] 1")]
    assert found("[BD] S/[x]*.mkv") == [("[BD] S/[x] 1.mkv", "[x] 1")]
    Path("[BD] S/l.txt").write_text("  # mine\n*\n../[BD] S/2.mkv\n")
    assert found("[BD] S/l.txt", "[BD] S/../s/02.mkv", "s/02.mkv")[:2] == found("[BD] S/*.mkv")
    assert len(found("[BD] S/l.txt", "[BD] S/../s/02.mkv", "s/02.mkv")) == 3


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (["no.mkv"], SourceError, "source must be a video, a folder or a list, got no 'no.mkv'; check the name"),
        (["no*.mkv"], SourceError, "source must be a video, a folder or a list, got no 'no*.mkv'; check the name"),
        (["n" * 300], SourceError,
         f"source must be a video, a folder or a list, got no '{'n' * 300}'; check the name"),
        (["none.txt"], SourceError, "list must hold names, got 'none.txt' with none; write one a line"),
        (["empty"], SourceError, "folder must hold videos, got 'empty' with none; name another one"),
        (["s/01.MP4", "s/extra/01.mkv"], ArgumentError,
         "results must have names of their own, got '01' twice; write some into another folder"),
        (["loop.txt"], SourceError,
         "list must hold videos and folders, got the list 'loop.txt'; name it beside 'loop.txt'"),
    ],
)  # fmt: skip
def test_what_gives_no_season(season: Path, names: list[str], kind: type[CuganError], message: str) -> None:
    Path("empty").mkdir()
    Path("none.txt").write_text("# nothing")
    Path("loop.txt").write_text("loop.txt")
    with pytest.raises(kind) as error:
        found(*names)
    assert str(error.value) == message


def test_one_file_into_one_file_is_no_season(season: Path) -> None:
    assert not is_season(["s/02.mkv"], "o.mkv")
    assert not is_season(["s/02.mkv"], "o.avi")  # which is refused as an output
    assert not is_season(["no.mkv"], "o.mkv")
    assert not is_season(["[Sub] no.mkv"], "o.mkv")
    for names, output in ((["s/02.mkv"], "new/"), (["s/02.mkv"], "s"), (["s/02.mkv"], "new"), (["s"], "o.mkv"),
                          (["a.mkv", "b.mkv"], "o.mkv"), (["l.txt"], "o.mkv"), (["s/*.mkv"], "o.mkv")):  # fmt: skip
        assert is_season(names, output), (names, output)
