"""An option is a row: its checks, the plugin's signature, the command line and the stub follow from it."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from toys.toy_option import ToySettings
from vscugan import settings
from vscugan.cli import options
from vscugan.errors import ArgumentError
from vscugan.option_row import signature

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def sharpen() -> Iterator[None]:
    """The toy's row in the tables that are made from the rows."""
    row = {each.name: get_args(each.type)[1] for each in fields(ToySettings)}["sharpen"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "Settings", ToySettings)
        patch.setattr(options, "Settings", ToySettings)
        for table in (settings.OPTIONS, settings.ARGUMENTS, options.UPSCALE):
            patch.setitem(table, "sharpen", row)
        yield


def test_its_values_are_checked() -> None:
    assert settings.validate() == ToySettings()
    given: Any = settings.validate(sharpen=0.5)
    assert given == ToySettings(sharpen=0.5)
    with pytest.raises(ArgumentError) as error:
        settings.validate(sharpen=2)
    assert str(error.value) == "sharpen must be 0 to 1, got 2; leave it out for no sharpening"


def test_the_plugin_takes_it_last() -> None:
    assert signature(settings.ARGUMENTS, required="clip").endswith(";sharpen:float:opt;")


def test_the_command_line_takes_it_and_describes_it() -> None:
    parser = argparse.ArgumentParser()
    options.add_upscale(parser)
    assert options.given_upscale(parser.parse_args(["--sharpen", "0.5"])) == {"sharpen": 0.5}
    assert "0 is off, 1 is the most (default 0)" in " ".join(parser.format_help().split())


def test_type_checkers_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    stub = importlib.import_module("make_stub").stub()
    assert "        sharpen: float | None = None,\n" in stub
