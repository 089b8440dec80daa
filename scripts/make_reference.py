"""Write what docs/ says of arguments, models, options and exit codes, from the rows in the package.

``make_reference.py`` writes it; ``--check`` only says whether anything would change, and ends with 1 if so.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, indent

from vscugan.__main__ import COMMANDS, command_parser
from vscugan.cli.profiles import config_file
from vscugan.encode.encoders.encoder_rows import ENCODERS, HARDWARE
from vscugan.errors import ArgumentError
from vscugan.exits import EXIT_CODES
from vscugan.models.registry import default_noise, models, rows, scales
from vscugan.option_row import Option
from vscugan.settings import ARGUMENTS, OPTIONS, Settings, validate

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from report import markdown, replace_between  # noqa: E402

DOCS = ROOT / "docs"
LINE_LENGTH = 72
#: what an argument may be whose row has neither names to choose from nor limits
KINDS = {
    "clip": "a clip of constant format and size",
    "alpha_clip": "a gray clip",
    "weights": "a path",
    "format": "a format's id",
    "noise": "{choices}, or -1 to 3",
    "tile": "one or two numbers (width, height), each {limits}",
    "width": "1 px to 16 times the source's",
    "height": "1 px to 16 times the source's",
}
#: what the headings of arguments look like, and the line below that is written here
ARGUMENT = re.compile(r"^### `(\w+)`\n\n(?:\*\*Values:\*\* .*\n\n)?", re.MULTILINE)


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _limits(name: str) -> str:
    """What the message for a value that is too small says."""
    if name not in OPTIONS:
        return ""
    try:
        validate(**{name: -1})
    except ArgumentError as error:
        return str(error).removeprefix(f"{name} must be ").partition(", got ")[0]
    return ""


def values(name: str, option: Option) -> str:
    """What an argument may be."""
    if name == "device":
        return f"{_code(option.help.partition(', or several')[0].split(', '))}, or a list of these"
    choices = _code(option.names)
    return KINDS.get(name, "{choices}" if choices else "{limits}").format(choices=choices, limits=_limits(name))


def _default(name: str, quote: str) -> str:
    """The value of an argument that is left out, empty where other arguments or the machine decide."""
    value = getattr(Settings, name, None)
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}"
    return f"{quote}{value if isinstance(value, str) else ', '.join(value)}{quote}"


def _value_line(found: re.Match[str]) -> str:
    name = found[1]
    if name not in ARGUMENTS:
        raise SystemExit(f"headings of docs/reference/upscale.md must be arguments, got {name}; rename or remove it")
    line = f"**Values:** {values(name, ARGUMENTS[name])}."
    if text := _default(name, '`'):
        line += f" **Default:** {text}."
    return f"### `{name}`\n\n{line}\n\n"


def signature() -> str:
    """The arguments in their order, as Python writes them."""
    text = ", ".join("clip" if name == "clip" else f"{name}={_default(name, '"') or None}" for name in ARGUMENTS)
    lines = indent(fill(text, LINE_LENGTH), "    ")
    return f"```text\ncore.cugan.Upscale(\n{lines}\n)\n```"


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the table of models says besides names, in one language; ``extra`` has the extra's name for ``{}``."""

    heads: tuple[str, ...]
    comma: str
    none: str
    itself: str
    extra: str


ENGLISH = Words(
    heads=("`model`", "scales", "noise levels", "installed by"),
    comma=", ", none="none", itself="vscugan itself", extra="the extra `{}`",
)  # fmt: skip
#: by the folder of a page in another language
TRANSLATIONS = {
    "zh": Words(
        heads=("`model`", "放大倍率", "降噪强度", "从哪里安装"),
        comma="、", none="无", itself="vscugan 自带", extra="可选依赖 `{}`",
    ),
}  # fmt: skip


def model_table(words: Words = ENGLISH) -> str:
    """The models with their scales and noise levels, the default level in bold."""
    table = [list(words.heads)]
    for model in models():
        levels: dict[tuple[str, ...], list[str]] = {}
        for scale in scales(model):
            has = tuple(row.noise for row in rows() if (row.model, row.scale) == (model, scale) and row.noise)
            levels.setdefault(has, []).append(f"{scale}x")
        extra = next(row.extra for row in rows() if row.model == model)
        usual = default_noise(model)
        for has, own in levels.items():
            names = words.comma.join(f"**{name}**" if name == usual else name for name in has)
            installed_by = words.extra.format(extra) if extra else words.itself
            table.append([f"`{model}`", words.comma.join(own), names or words.none, installed_by])
    return markdown(table)


def options_of(command: str) -> str:
    """The options of a command but those of Upscale, as its help has them."""
    table = [["option", "meaning"]]
    parser = command_parser(command)
    for group in parser._action_groups:
        for action in group._group_actions if group.title != "Upscale" else ():
            if action.dest != "help":
                table.append([f"`{_call(action)}`", re.sub(r"(--[a-z][a-z-]+)", r"`\1`", _help(action))])
    return markdown(table) if len(table) > 1 else "It has no options."


def _call(action: argparse.Action) -> str:
    """An option with its value, or a positional argument."""
    choices = ", ".join(map(str, action.choices or ()))
    value = choices or str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return choices or str(action.metavar or action.dest)
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _help(action: argparse.Action) -> str:
    """The help of an option, with no path of this machine."""
    usual = config_file()
    return (action.help or "").replace("%%", "%").replace(str(usual), f"{usual.name} in your folder of settings")


def encoder_table() -> str:
    """The encoders with the settings that they get where the user says nothing."""
    defaults = {name: encoder.defaults for name, encoder in ENCODERS.items() if not encoder.is_hardware}
    hardware = {", ".join(f"{codec}_{kind}" for codec in codecs): values for kind, (codecs, values) in HARDWARE.items()}
    table = [["`--encoder`", "default settings"]]
    for names, options in (defaults | hardware).items():
        table.append([_code(names.split(", ")), f"`{' '.join(text for option in options for text in option)}`"])
    return markdown(table)


def exit_codes() -> str:
    """The exit codes and what they mean."""
    return markdown([["exit code", "meaning"], *([str(code), text] for code, text in EXIT_CODES.items())])


def upscale_page(text: str, where: Path) -> str:
    """The page of Upscale with the lines that follow from the rows."""
    text = replace_between(text, "signature", signature(), where)
    text = replace_between(text, "models", model_table(), where)
    text = ARGUMENT.sub(_value_line, text)
    described = ARGUMENT.findall(text)
    if missing := [name for name in ARGUMENTS if described.count(name) != 1]:
        raise SystemExit(f"{where} must have one section for each argument, got none or two of {', '.join(missing)}")
    return text


def command_page(text: str, where: Path) -> str:
    """The page of the command line with its tables."""
    for command in COMMANDS:
        text = replace_between(text, f"options of {command}", options_of(command), where)
    text = replace_between(text, "encoders", encoder_table(), where)
    return replace_between(text, "exit codes", exit_codes(), where)


def presets_page(text: str, where: Path) -> str:
    """The page of the presets with the text of each script."""
    for script in sorted((ROOT / "examples").glob("*.vpy")):
        if script.name != "demo.vpy":
            block = f"```vpy\n{script.read_text(encoding='utf-8').rstrip()}\n```"
            text = replace_between(text, script.name, f"<!-- not run: tests/test_vspipe.py runs it -->\n{block}", where)
    return text


def choice_page(text: str, where: Path) -> str:
    """The page on choosing a model, with the table of the models in its language."""
    words = next((words for folder, words in TRANSLATIONS.items() if folder in where.parts), ENGLISH)
    return replace_between(text, "models", model_table(words), where)


PAGES: Mapping[Path, Callable[[str, Path], str]] = {
    DOCS / "reference" / "upscale.md": upscale_page,
    DOCS / "reference" / "command-line.md": command_page,
    # also in other languages
    **dict.fromkeys(sorted(DOCS.rglob("choose-a-model.md")), choice_page),
    **dict.fromkeys(sorted(DOCS.rglob("presets.md")), presets_page),
}


def changed() -> dict[Path, str]:
    """The pages that are not as the rows say, with the text that they should have."""
    old = {page: page.read_text(encoding="utf-8") for page in PAGES}
    new = {page: make(old[page], page.relative_to(ROOT)) for page, make in PAGES.items()}
    return {page: text for page, text in new.items() if text != old[page]}


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if a page is out of date")
    check = parser.parse_args().check
    for page, text in changed().items():
        if check:
            sys.exit(f"{page.relative_to(ROOT)} must be as the rows say; run python scripts/make_reference.py")
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
