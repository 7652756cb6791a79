"""One thread that reads the lines of all requests, as many at a time as are waiting."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from shared.ocr.reading.reader import Reading

Read = Callable[[Sequence[np.ndarray]], list[Reading]]


class QueueFull(Exception):
    """No room for a request's lines; nothing of it was queued."""


class Batcher:
    """Feeds `read` with up to `batch_size` lines at a time; at most `capacity` lines wait."""

    def __init__(self, read: Read, capacity: int, batch_size: int = 16) -> None:
        self.read, self.capacity, self.batch_size = read, capacity, batch_size
        self.waiting: deque[tuple[np.ndarray, Future[Reading]]] = deque()
        self.changed, self.stopping = threading.Condition(), False
        self.thread = threading.Thread(target=self._work, name="reader", daemon=True)
        self.thread.start()

    def submit(self, lines: Sequence[np.ndarray]) -> list[Future[Reading]]:
        """A future for each line, all of them or none: QueueFull. A cancelled one is not read."""
        futures: list[Future[Reading]] = [Future() for _ in lines]
        with self.changed:
            if self.stopping or len(self.waiting) + len(lines) > self.capacity:
                raise QueueFull
            self.waiting.extend(zip(lines, futures, strict=True))
            self.changed.notify()
        return futures

    def stop(self) -> None:
        """Take no more lines, read those that wait, end the thread."""
        with self.changed:
            self.stopping = True
            self.changed.notify()
        self.thread.join()

    def _work(self) -> None:
        while batch := self._next():
            running = [(line, future) for line, future in batch if future.set_running_or_notify_cancel()]
            if not running:
                continue
            try:
                for (_, future), reading in zip(
                    running, self.read([line for line, _ in running]), strict=True
                ):
                    future.set_result(reading)
            except Exception as error:  # whatever a line did to the reader, the next ones are to be read
                for _, future in running:
                    if not future.done():
                        future.set_exception(error)

    def _next(self) -> list[tuple[np.ndarray, "Future[Reading]"]]:
        """The lines to read next, as soon as there are any; none when it is time to end."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.stopping)
            return [self.waiting.popleft() for _ in range(min(self.batch_size, len(self.waiting)))]
