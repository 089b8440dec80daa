"""The journal: torn lines, crafted entries, and its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vscugan.encode.job.journal import Journal
from vscugan.errors import ConflictError


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    first = {"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {}}}
    journal.append(first)
    journal.close()
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole + whole[:length] if length < len(whole) else whole)
        again = Journal(path)
        assert again.torn
        assert again.entries == [first]
        again.append({"kind": "unpublished"})
        again.close()
        assert path.read_bytes() == whole + b'{"kind":"unpublished"}\n'


THROW = "; say --restart to throw the work folder away"
BEGIN: dict[str, Any] = {"kind": "begin", "plan": {}, "facts": {"source": {}, "versions": {}, "made_by": {}}}
WHOLE: dict[str, Any] = {"kind": "whole", "certificate": {"result": {"sha256": "00", "bytes": 9, "frames": 2}}}
CHUNK: dict[str, Any] = {
    "kind": "chunk", "chunk": 0, "start": 0, "stop": 2, "file": "000000.mkv", "bytes": 9, "sha256": "00",
    "codec": "h264", "header_sha256": "00", "order": [0, 1], "frames": ["00", "00"], "sketches": ["00", "00"],
    "hardware": {"cpu": "one"}, "seconds": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        (["hello"], "a line that is no JSON"),
        (["[" * 100_000], "a line that is no JSON"),
        (["[]"], "an entry of no known kind"),
        ([{"kind": "shell"}], "an entry of no known kind"),
        ([CHUNK], "an entry 'chunk' at its beginning"),
        ([BEGIN, BEGIN], "a second beginning"),
        ([{"kind": "begin", "plan": {}}], "an entry 'begin' with no facts"),
        ([BEGIN | {"facts": {"source": 1}}], "an entry 'begin' with facts: source of another type"),
        ([BEGIN, WHOLE | {"certificate": {"result": 1}}], "an entry 'whole' with certificate: result of another type"),
        ([BEGIN, WHOLE | {"certificate": {"result": {}}}], "an entry 'whole' with certificate: result: no sha256"),
        ([BEGIN, CHUNK | {"bytes": "9"}], "an entry 'chunk' with bytes of another type"),
        ([BEGIN, CHUNK | {"order": [0, None]}], "an entry 'chunk' with order of another type"),
        ([BEGIN, CHUNK | {"tile": 64}], "an entry 'chunk' with tile of another type"),
        ([BEGIN, CHUNK | {"file": "../../x"}], "a chunk in the file '../../x'"),
        ([BEGIN, CHUNK | {"file": "/etc/passwd"}], "a chunk in the file '/etc/passwd'"),
        ([BEGIN, CHUNK | {"order": [0, 0]}], "a chunk of 2 frames in place of 0 to 2"),
        ([BEGIN, CHUNK | {"stop": 3, "order": [0, 1, 2]}], "a chunk of 2 frames in place of 0 to 3"),
    ],
)
def test_a_journal_is_checked(work: Path, entries: list[Any], fault: str) -> None:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    path = work / "journal.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConflictError) as error:
        Journal(path)
    assert str(error.value) == f"o.mkv.vscugan/journal.jsonl must be a journal, got {fault}{THROW}"


def test_a_journal_that_is_its_own_is_read(work: Path) -> None:
    (work / "journal.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in (BEGIN, CHUNK, WHOLE)))
    journal = Journal(work / "journal.jsonl")
    assert journal.entries == [BEGIN, CHUNK, WHOLE]
    journal.close()
