"""What the script's author reads of an exception."""

from __future__ import annotations

import logging

import pytest

from vscugan import errors
from vscugan.clip.error_text import PREFIX, first_line, strip_prefix, translate_errors
from vscugan.errors import CuganError


@translate_errors
def fail(error: BaseException | None, /, *, value: int = 0) -> int:
    """Of the function."""
    if error:
        raise error
    return value


def test_what_works_is_as_without() -> None:
    assert fail(None, value=3) == 3
    assert (fail.__name__, fail.__doc__) == ("fail", "Of the function.")


@pytest.mark.parametrize("kind", [CuganError, *CuganError.__subclasses__()])
def test_errors_on_purpose_get_the_functions_name(kind: type[CuganError], caplog: pytest.LogCaptureFixture) -> None:
    raised = kind("tile must be 0, got 1\nü; use 0")
    with pytest.raises(RuntimeError) as error:
        fail(raised)
    assert type(error.value) is RuntimeError
    assert str(error.value) == "cugan.Upscale: tile must be 0, got 1\nü; use 0"
    assert error.value.__cause__ is raised
    assert not caplog.records


@pytest.mark.parametrize("raised", [ValueError("{x} %s\nmore"), KeyError(), StopIteration(), MemoryError(), OSError(5)])
def test_an_internal_error_comes_with_its_traceback_and_is_logged(
    raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError) as error:
        fail(raised)
    first, second, *_, last = str(error.value).rstrip().splitlines()
    assert (first, second) == (
        "cugan.Upscale: internal error, please report it", "Traceback (most recent call last):"
    )  # fmt: skip
    assert last in ("more", f"{type(raised).__name__}: {raised}", type(raised).__name__)
    assert "in fail" in str(error.value)
    assert first_line(error.value) == "internal error, please report it"
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("vscugan.clip.error_text", logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[1] is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_ends_the_program_is_left_alone(raised: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(type(raised)) as error:
        fail(raised)
    assert error.value is raised
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "stripped", "first"),
    [
        ("cugan.Upscale: a\nb", "a\nb", "a"),
        ("cugan.Upscale: cugan.Upscale: a", "cugan.Upscale: a", "cugan.Upscale: a"),
        ("Resize error: cugan.Upscale: a", "Resize error: cugan.Upscale: a", "Resize error: cugan.Upscale: a"),
        ("", "", "FrameError"),
        ("cugan.Upscale: ", "", "FrameError"),
        ("\r\nb", "\r\nb", ""),
    ],
)
def test_callers_put_their_own_name_before_it(text: str, stripped: str, first: str) -> None:
    assert PREFIX == "cugan.Upscale: "
    assert strip_prefix(errors.FrameError(text)) == stripped
    assert first_line(errors.FrameError(text)) == first
