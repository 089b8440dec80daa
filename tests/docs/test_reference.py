"""The reference says what the rows say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from support.code_blocks import DOCS, ROOT

from vscugan import errors
from vscugan.exits import EXIT_CODES
from vscugan.settings import DEVICES, OPTIONS, validate

UPSCALE = DOCS / "reference" / "upscale.md"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_reference")


def test_the_pages_are_as_the_rows_say(script: Any) -> None:
    assert not script.changed(), "run python scripts/make_reference.py"


def test_values_and_defaults_are_written_below_the_argument(script: Any) -> None:
    text = UPSCALE.read_text(encoding="utf-8")
    assert "### `scale`\n\n**Values:** 1 to 16. **Default:** 2.\n\n" in text
    assert "### `overshoot`\n\n**Values:** `clip`, `restore`. **Default:** `clip`.\n\n" in text
    assert "### `memory`\n\n**Values:** at least 64 MiB.\n\n" in text
    for old in ("1 to 4", "1 to 16"):
        assert script.upscale_page(text.replace("1 to 16. **", f"{old}. **"), UPSCALE) == text


def test_an_argument_without_a_section_is_refused(script: Any) -> None:
    text = UPSCALE.read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=r"must have one section for each argument, got none or two of gates$"):
        script.upscale_page(text.replace("### `gates`", "### Gates"), Path("upscale.md"))
    with pytest.raises(SystemExit, match=r"^headings of docs/reference/upscale\.md must be arguments, got gate; "):
        script.upscale_page(text.replace("### `gates`", "### `gate`"), Path("upscale.md"))


def test_every_kind_of_device_is_named_and_taken(script: Any) -> None:
    names = re.findall("`(.+?)`", script.values("device", OPTIONS["device"]))
    assert set(names) == {f"{kind}{each}" for kind, several in DEVICES.items() for each in ("", ":N")[: 1 + several]}
    for name in names:
        assert validate(device=name.replace("N", "0")).device


def test_every_error_has_an_exit_code_that_is_explained() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    assert {each.exit_code for each in classes if issubclass(each, errors.CuganError)} <= EXIT_CODES.keys()
