"""Routes: which passes of the network lead to a size, and with which model each is made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from vscugan.architectures import ARCHITECTURES
from vscugan.errors import ArgumentError
from vscugan.models.levels import level_text
from vscugan.models.registry import STRENGTHS, find, rows, scales
from vscugan.models.weights import Weights, by_scale, load_file, load_released
from vscugan.settings import LARGEST_SCALE, SCALES, Settings

logger = logging.getLogger(__name__)

#: What passes after the first are made with, the first that a model has: the noise is gone, and these change least.
LATER_NOISES = ("conservative", "no-denoise")
#: Up to this times the cost is the same: 2x of Real-ESRGAN's animevideo is 4x, and a little work more.
SAME_COST = 1.01


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One run of the network: a released model, or the user's own file, which was read once (``weights``).

    ``level``: the noise level's name, None where the model has none, or a strength in 0..3.
    """

    scale: int
    level: str | float | None
    model: str | None
    weights: Weights | None = None
    alpha: float = 1.0

    @property
    def text(self) -> str:
        """What computes a released model's pass, in words."""
        return str(self.model) if self.level is None else level_text(self.level)

    def load(self) -> Weights:
        """The weights, verified.

        Raises: ArgumentError, WeightsError.
        """
        if self.weights is not None:
            return self.weights
        assert self.model is not None  # validate() filled it in
        row = find(model=self.model, scale=self.scale, noise=_name(self.level))
        return load_released(row, self.level if isinstance(self.level, float) else None)


def _name(level: str | float | None) -> str | None:
    """The name of a noise level; of a strength any that has the model's file."""
    return STRENGTHS[0] if isinstance(level, float) else level


def _level(settings: Settings) -> str | float | None:
    return settings.noise if settings.strength is None else float(settings.strength)


def _first(settings: Settings, scale: int, weights: Weights | None = None) -> Pass:
    return Pass(scale=scale, level=_level(settings), model=settings.model, weights=weights, alpha=settings.alpha)


def _of_file(settings: Settings, level: str | float | None, notify: Callable[[str], None]) -> Weights:
    """The user's file, at a noise level where it has all of them."""
    assert settings.weights is not None
    named = {} if level is None else {"level": level}
    return load_file(settings.weights, model=settings.model, notify=notify, **named)


def direct(settings: Settings, notify: Callable[[str], None] = logger.info) -> tuple[Pass, ...] | None:
    """The one pass that a scale of the model names, or the file's own; None where a route must be found.

    Raises: WeightsError for a bad file, ArgumentError where ``scale`` is not the file's.
    """
    own = SCALES if settings.model is None or settings.weights else scales(settings.model)
    if settings.sized or not (settings.scale is None or settings.scale in own):
        return None
    if settings.weights is None:
        assert settings.scale is not None  # validate() filled it in
        return (_first(settings, int(settings.scale)),)
    weights = _of_file(settings, _level(settings), notify)
    if settings.scale not in (None, weights.scale):
        raise ArgumentError(
            f"scale={settings.scale:g} must be that of the weights, got a file for scale={weights.scale}; "
            "leave scale out or use another file"
        )
    return (_first(settings, weights.scale, weights),)


def find_route(
    settings: Settings,
    source: tuple[int, int],
    target: tuple[int, int],
    notify: Callable[[str], None] = logger.info,
) -> tuple[Pass, ...]:
    """The cheapest passes that lead from ``source`` to at least ``target`` (width, height) on both axes.

    The first pass takes the noise level and alpha that were asked for, later ones ``LATER_NOISES`` and 1. A file
    of the user's is used for every pass with this alpha. ``notify``: see Engine.
    Raises: ArgumentError when no model has the noise level, WeightsError for a bad file.
    """
    if settings.weights is not None:
        return _route_of_file(settings, source, target, notify)
    assert settings.model is not None  # validate() filled it in
    noise = _name(_level(settings))
    first = _costs(settings.model, noise)
    if not first:
        find(model=settings.model, scale=scales(settings.model)[0], noise=noise)  # raises, naming what exists
    later_noise = next((name for name in LATER_NOISES if _costs(settings.model, name)), noise)
    later = _costs(settings.model, later_noise)
    if max(*first, *later) == 1 and any(t > s for s, t in zip(source, target, strict=True)):
        raise ArgumentError(
            f"model={settings.model} must have a scale above 1 for a larger picture, got only scale=1; use model=se"
        )
    each = cheapest(source, target, first, later)
    rest = [Pass(scale=s, level=later_noise, model=settings.model) for s in each[1:]]
    return (_first(settings, each[0]), *rest)


def _route_of_file(
    settings: Settings, source: tuple[int, int], target: tuple[int, int], notify: Callable[[str], None]
) -> tuple[Pass, ...]:
    """The passes of a file of the user's own; see ``find_route``."""
    first = by_scale(_of_file(settings, _level(settings), notify))
    if max(first) == 1 and any(t > s for s, t in zip(source, target, strict=True)):
        raise ArgumentError(
            "weights must have a scale above 1 for a larger picture, got a file for scale=1; use another file"
        )
    cost = {scale: float(sum(each.architecture.shapes.multiply_adds)) for scale, each in first.items()}
    route = cheapest(source, target, cost, cost)
    later = first
    if len(route) > 1 and first[route[0]].architecture.levels:
        later = by_scale(_of_file(settings, LATER_NOISES[0], notify))
    return tuple(_first(settings, scale, (later if at else first)[scale]) for at, scale in enumerate(route))


def _costs(model: str, noise: str | None) -> dict[int, float]:
    """The scales that a model has this noise level for, and the multiply-adds of each for a px of what it reads."""
    found = {row.scale: row.architecture for row in rows() if (row.model, row.noise) == (model, noise)}
    return {scale: float(sum(ARCHITECTURES[name].shapes.multiply_adds)) for scale, name in found.items()}


def cheapest(
    source: tuple[int, int], target: tuple[int, int], first: Mapping[int, float], later: Mapping[int, float]
) -> tuple[int, ...]:
    """The scales of the cheapest passes whose product takes ``source`` to at least ``target``.

    ``first`` and ``later``: what each scale costs a px, of those that exist for the first and for later passes. Of what
    costs the same the smaller product is taken, as less is to be resized.
    """

    def cost(route: tuple[int, ...]) -> float:
        each = [(first if k == 0 else later)[scale] for k, scale in enumerate(route)]
        return sum(one * prod(route[:k]) ** 2 for k, one in enumerate(each))

    enlarging = [scale for scale in later if scale > 1]  # else a route would have no end
    routes = _sequences(first, enlarging)
    enough = [r for r in routes if all(s * prod(r) >= t for s, t in zip(source, target, strict=True))]
    least = min(map(cost, enough))
    return min((r for r in enough if cost(r) <= SAME_COST * least), key=lambda r: (prod(r), cost(r)))


def _sequences(first: Collection[int], later: Collection[int]) -> Iterator[tuple[int, ...]]:
    waiting: list[tuple[int, ...]] = [(scale,) for scale in first]
    while waiting:
        route = waiting.pop()
        yield route
        if prod(route) < LARGEST_SCALE:
            waiting.extend((*route, scale) for scale in later)
