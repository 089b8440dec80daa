"""The table of events in the reference of the command line has the events and the fields that the code reports."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields

from support.code_blocks import DOCS, ROOT

from vscugan.encode.chunks.estimate import Sample, estimate
from vscugan.encode.season.season import Outcome

PAGE = DOCS / "reference" / "command-line.md"
#: the worker waits for its next job; the parent hands this event to nobody
INTERNAL = {"idle"}
#: the fields of the events that are written with ``**``
UNPACKED = {
    "estimate": set(estimate([Sample(seconds=1, key_bytes=1, other_bytes=1)], frames=1, chunk_frames=1)),
    "file": {field.name for field in fields(Outcome)},
}
#: in place of a name: fields that stand elsewhere
ELSEWHERE = None


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def reported(module: ast.Module) -> Iterator[tuple[str, set[str | None]]]:
    """The events that a module names, by ``emit("name", field=...)`` or ``{"event": "name", "field": ...}``."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = text_of(node.args[0]) if function.lstrip("_") == "emit" and node.args else None
            names = {keyword.arg for keyword in node.keywords}
        elif isinstance(node, ast.Dict):
            found = {text_of(key): value for key, value in zip(node.keys, node.values, strict=True)}
            name, names = text_of(found.get("event")), found.keys() - {"event"}
        else:
            continue
        if name is not None:
            yield name, names


def events_of_the_code() -> dict[str, set[str]]:
    events: dict[str, set[str]] = defaultdict(set)
    unpacked = set()
    for file in (ROOT / "vscugan").rglob("*.py"):
        for event, names in reported(ast.parse(file.read_text(encoding="utf-8"))):
            unpacked |= {event} if ELSEWHERE in names else set()
            events[event] |= {name for name in names if name is not None} | UNPACKED.get(event, set())
    assert unpacked == UNPACKED.keys()
    return {event: names for event, names in events.items() if event not in INTERNAL}


def events_of_the_page() -> dict[str, set[str]]:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("| `event` | its other fields |")
    rows = re.findall(r"^\| `(\w+)` \|(.*?)\|", table.partition("\n\n")[0], re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {event: set(re.findall(r"`(\w+)`", names)) for event, names in rows}


def test_the_page_has_every_event_with_its_fields() -> None:
    assert events_of_the_page() == events_of_the_code()


def test_both_ways_to_write_an_event_are_found() -> None:
    lines = ('self._emit("a", x=1, **rest)', 'display({"event": "b", "y": 2, **rest})', "emit(name, z=3)", '{"c": 1}')
    assert dict(reported(ast.parse("\n".join(lines)))) == {"a": {"x", ELSEWHERE}, "b": {"y", ELSEWHERE}}
