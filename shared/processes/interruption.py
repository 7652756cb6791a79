"""Ctrl-C and SIGTERM end a run at the next batch, with everything saved; a second signal is never needed."""

import signal
from types import FrameType
from typing import Any


class Interrupted(BaseException):
    """The run was asked to stop by signal number `signum`; the process exits with 128 + `signum`.

    No Exception, as KeyboardInterrupt is none: it may be raised anywhere, also within what catches errors.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signal.Signals(signum).name)


class Interruption:
    """Context in which SIGINT and SIGTERM raise `Interrupted`; after `defer()` they are only remembered.

    `requested` is the first signal, `count` how many have come.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self.count = 0
        self.deferred = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        self._previous = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        self._listen()
        return self

    def __exit__(self, *error: Any) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def defer(self) -> None:
        """From now on whoever asks for `requested` decides. Lightning's handlers, which exit unsaved, are undone."""
        self.deferred = True
        self._listen()

    def _listen(self) -> None:
        for signum in self._previous:
            signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self.requested, self.count = self.requested or signum, self.count + 1
        if self.count == 1 and not self.deferred:
            self.deferred = True
            raise Interrupted(signum)
