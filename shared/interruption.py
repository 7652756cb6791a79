"""Ctrl-C and SIGTERM end a run at the next batch, with everything saved; a second signal is never needed."""

import signal
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run was asked to stop by signal number `signum`; the process exits with 128 + `signum`."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signal.Signals(signum).name)


class Interruption:
    """Context in which SIGINT and SIGTERM are remembered while `training` and raised as `Interrupted` otherwise."""

    def __init__(self) -> None:
        self.requested: int | None = None
        self.training = False

    def __enter__(self) -> "Interruption":
        self._previous = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        for signum in self._previous:
            signal.signal(signum, self._receive)
        return self

    def __exit__(self, *error: Any) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has arrived."""
        if self.requested is not None:
            raise Interrupted(self.requested)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        first, self.requested = self.requested is None, self.requested or signum
        if first and not self.training:
            raise Interrupted(signum)
