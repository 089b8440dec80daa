"""What an exception says to the script's author: the bridge shows only the text of what leaves Python."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import wraps

from vscugan.errors import CuganError

logger = logging.getLogger(__name__)

PREFIX = "cugan.Upscale: "


def strip_prefix(error: Exception) -> str:
    """The text of an error of Upscale without the function's name, for callers who put their own before it."""
    return str(error).removeprefix(PREFIX)


def first_line(error: Exception) -> str:
    """The same, without the traceback of an internal error."""
    return (strip_prefix(error).splitlines() or [type(error).__name__])[0]


def translate_errors[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Turn the function's exceptions into ones whose text is for the script's author."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CuganError as error:
            raise RuntimeError(f"{PREFIX}{error}") from error
        except Exception as error:
            logger.exception("unexpected error")
            raise RuntimeError(f"{PREFIX}internal error, please report it\n{traceback.format_exc()}") from error

    return call
