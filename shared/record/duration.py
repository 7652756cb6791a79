"""How long something took or will take, as a person reads it."""

import math


def duration(seconds: float) -> str:
    """Two units at most; "unknown" for a number that is none.

    >>> duration(42), duration(95), duration(7500), duration(360_000), duration(math.nan)
    ('42s', '1m35s', '2h05m', '4d04h', 'unknown')
    """
    if not math.isfinite(seconds):
        return "unknown"
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)

    if days:
        return f"{days}d{hour:02d}h"
    if hours:
        return f"{hour}h{minute:02d}m"
    return f"{minute}m{second:02d}s" if minute else f"{second}s"
