"""A thread for slow work of which only the newest matters."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Latest(Generic[Item]):
    """Does `work` on the newest item it was given; `drop` gets those that a newer one overtook.

    `work` must not raise. The thread is a daemon: a process may end while it hangs.
    """

    def __init__(self, name: str, work: Callable[[Item], None], drop: Callable[[Item], None]) -> None:
        self.work, self.drop = work, drop
        self.changed = threading.Condition()
        self.waiting: Item | None = None
        self.idle = True
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def put(self, item: Item) -> None:
        """Hand over an item; returns at once."""
        with self.changed:
            overtaken, self.waiting, self.idle = self.waiting, item, False
            self.changed.notify_all()
            if not self.thread.ident:
                self.thread.start()
        if overtaken is not None:
            self.drop(overtaken)

    def wait(self, seconds: float) -> bool:
        """Whether everything is done, after at most `seconds`."""
        with self.changed:
            return self.changed.wait_for(lambda: self.idle, seconds)

    def _run(self) -> None:
        with suppress(AttributeError, OSError):  # Linux: after the threads that train
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while True:
            with self.changed:
                self.idle = self.waiting is None
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.waiting is not None)
                item, self.waiting = self.waiting, None
            self.work(item)
