"""Callbacks that know no framework, as Lightning wants its own."""

from typing import Any

import lightning


def adopt(callback: Any) -> lightning.Callback:
    """The callback itself, made a `lightning.Callback` too; those that touch no tensor are plain classes with hooks."""
    kind = type(callback)
    if not isinstance(callback, lightning.Callback):
        callback.__class__ = type(kind.__name__, (kind, lightning.Callback), {"__doc__": kind.__doc__})
    return callback
