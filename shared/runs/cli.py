"""What the tools of `scripts/` have in common: one `error:` line for a user's error, JSON without NaN."""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from shared.errors import UserError


def main(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> NoReturn:
    """Parse, run, and exit with what `run` returns; 2 and one line on stderr for a user's error."""
    args = parser.parse_args()
    try:
        code = run(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def plain(value: Any) -> Any:
    """A value as JSON knows it: numpy's numbers as Python's, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def print_json(value: Any) -> None:
    print(json.dumps(plain(value), ensure_ascii=False))
