"""What a search may vary, in Hydra's words: `lr=tag(log,interval(1e-4,1e-1)) depth=18,34 seed=range(1,9)`."""

from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    Override,
    RangeSweep,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from shared.errors import UserError

Space = dict[str, BaseDistribution]


def split(overrides: list[Override]) -> tuple[list[str], Space]:
    """The overrides that are fixed, as words, and the space of the others; a later one of a key wins."""
    last = {each.get_key_element(): each for each in overrides}
    fixed = [each.input_line for each in last.values() if not each.is_sweep_override()]
    return fixed, {key: distribution(each) for key, each in last.items() if each.is_sweep_override()}


def distribution(override: Override) -> BaseDistribution:
    """Choices and ranges as they stand; `interval(1,8)` is of real numbers, `int(interval(1,8))` of whole ones."""
    sweep = override.value()
    if isinstance(sweep, Glob):
        mend = "write the options out, with commas between them"
        raise UserError("a search cannot choose by pattern", override.input_line, mend)
    if isinstance(sweep, ChoiceSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    try:
        if isinstance(sweep, RangeSweep):
            points = list(sweep.range())
            whole = all(isinstance(point, int) for point in points)
            kind = IntDistribution if whole else FloatDistribution
            return kind(points[0], points[-1], step=sweep.step)
        whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
        return (IntDistribution if whole else FloatDistribution)(
            sweep.start, sweep.end, log="log" in sweep.tags
        )
    except (ValueError, IndexError) as error:
        mend = "give interval(low,high), range(low,high,step) or choices"
        raise UserError(str(error), override.input_line, mend) from error


def words(values: Mapping[str, Any]) -> list[str]:
    """A trial's values as overrides."""
    return [f"{key}={value}" for key, value in values.items()]
