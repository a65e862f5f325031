"""The space of a sweep: names of settings and the values that they may take, checked before work.

A setting is named as on the command line, and its type is that of the schema: a range of integers
gives integers, and the names of an enum become its values.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from conf.choices import instead
from conf.errors import UserError
from conf.schema import Dimension, ImageTraining

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PARTS = ("model", "fit", "transform")
"""Parts whose settings can be searched: the others decide what is measured, not how well."""
FIXED = {
    "model.name": "it decides which pipeline runs",
    "fit.monitor": "it is the value of a trial, and values of two kinds cannot be compared",
    "fit.resume": "it does not change the result",
    "fit.cache": "it does not change what is measured",
    "transform.image_size": "it follows model.image_size, which can be searched",
    "transform.workers": "it does not change the result",
}
"""Settings in `PARTS` that cannot be searched, and why."""


def distributions(
    settings: ImageTraining, space: Mapping[str, Dimension]
) -> "dict[str, BaseDistribution]":
    """The distribution of each setting, for Optuna.

    Raises `UserError` for a setting that is unknown or cannot be searched, a range without values,
    and a choice of a wrong type.
    """
    if not space:
        raise UserError(
            "sweep.space is empty: name a setting and its values; see conf/sweep/*.yaml"
        )
    return {key: _distribution(settings, key, space[key]) for key in sorted(space)}


def applied(settings: ImageTraining, params: Mapping[str, Any]) -> ImageTraining:
    """`settings` with the values `params`, by name."""
    for key, value in params.items():
        settings = _with(settings, key.split("."), _typed(_hint(settings, key), value, key))
    if "model.image_size" in params:
        size = settings.model.image_size
        settings = replace(settings, transform=replace(settings.transform, image_size=size))
    return settings


def _distribution(settings: ImageTraining, key: str, given: Dimension) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    hint, name = _hint(settings, key), f"sweep.space.{key}"
    if given.choices:
        if (given.low, given.high, given.step) != (None, None, None):
            raise UserError(f"{name} has choices and a range: give one of them")
        for value in given.choices:
            _typed(hint, value, key)
        return CategoricalDistribution(given.choices)
    low, high, step = given.low, given.high, given.step
    if low is None or high is None:
        raise UserError(f"{name} has no values: give low and high, or choices")
    said = f"{name}: low={low:g}, high={high:g}"
    if hint not in (int, float, int | None, float | None):
        raise UserError(f"{said}, but it is no number: give choices")
    if low >= high:
        raise UserError(f"{said} is an empty range: low must be less than high")
    if given.log and (low <= 0 or step is not None):
        raise UserError(f"{said}, step={step}: a logarithmic range has low > 0 and no step")
    if step is not None and not 0 < step <= high - low:
        raise UserError(
            f"{said}, step={step:g}: the step must be more than 0, and fit in the range"
        )
    if hint in (float, float | None):
        return FloatDistribution(low, high, log=given.log, step=step)
    if any(value is not None and value != int(value) for value in (low, high, step)):
        raise UserError(f"{said}, step={step}: the values of {key} are integers")
    return IntDistribution(int(low), int(high), log=given.log, step=int(step or 1))


def _hint(settings: ImageTraining, key: str) -> Any:
    """The type of the setting `key` in the schema."""
    node: Any = settings
    words = key.split(".")
    if words[0] not in PARTS:
        raise UserError(
            f"sweep.space.{key}: only settings of {', '.join(PARTS)} can be searched; seeds and "
            "folds have settings of their own, sweep.seeds and sweep.folds"
        )
    for depth, word in enumerate(words):
        known = get_type_hints(type(node)) if is_dataclass(node) else {}
        if word not in known:
            before = ".".join(words[:depth])
            lines = [f"sweep.space.{key}: {before} has no setting {word}", *instead(word, [*known])]
            raise UserError("\n".join(lines))
        node, hint = getattr(node, word), known[word]
    if key in FIXED:
        raise UserError(f"sweep.space.{key} cannot be searched: {FIXED[key]}")
    if is_dataclass(node) or isinstance(node, list | dict):
        raise UserError(f"sweep.space.{key} is no single value: name one of its settings")
    return hint


def _typed(hint: Any, value: Any, key: str) -> Any:
    """`value`, as YAML gives it, as the type `hint`."""
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = kinds[0]
    if issubclass(kind, Enum):
        names = [each.name for each in kind]
        if value in names:
            return kind[value]
        raise UserError("\n".join([f"sweep.space.{key}: {value}", *instead(str(value), names)]))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    raise UserError(f"sweep.space.{key}: the value {value!r} is no {kind.__name__}")


def _with(node: Any, words: list[str], value: Any) -> Any:
    """The dataclass `node` with `value` at the path `words`."""
    first, *rest = words
    return replace(node, **{first: _with(getattr(node, first), rest, value) if rest else value})
