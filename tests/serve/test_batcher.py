import threading
from concurrent.futures import CancelledError

import pytest

from shared.ocr.reading.reader import Reading
from shared.serve.batcher import Batcher, QueueFull


class Slow:
    """Reads numbers as text, each batch only when it is let; remembers the batches."""

    def __init__(self) -> None:
        self.go, self.begun, self.batches = threading.Semaphore(0), threading.Semaphore(0), []

    def __call__(self, lines):
        self.begun.release()
        assert self.go.acquire(timeout=10)
        self.batches.append(list(lines))
        if "bad" in lines:
            raise ValueError("bad")
        return [Reading(str(line), 1.0) for line in lines]


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def batcher(slow):
    batcher = Batcher(slow, capacity=4, batch_size=3)
    yield batcher
    slow.go.release(100)
    batcher.stop()


def texts(futures):
    return [future.result(timeout=10).text for future in futures]


def test_lines_that_wait_are_read_together(batcher, slow):
    first = batcher.submit([1])
    slow.begun.acquire()
    second, third = batcher.submit([2, 3]), batcher.submit([4, 5])
    slow.go.release(3)
    assert texts(first + second + third) == ["1", "2", "3", "4", "5"]
    assert slow.batches == [[1], [2, 3, 4], [5]]


def test_a_request_is_queued_whole_or_not_at_all(batcher, slow):
    batcher.submit([1])
    slow.begun.acquire()
    waiting = batcher.submit([2, 3, 4])
    with pytest.raises(QueueFull):
        batcher.submit([5, 6])
    last = batcher.submit([7])
    slow.go.release(3)
    assert texts(waiting + last) == ["2", "3", "4", "7"]


def test_what_nobody_waits_for_is_not_read(batcher, slow):
    batcher.submit([1])
    slow.begun.acquire()
    cancelled, kept = batcher.submit([2, 3])
    cancelled.cancel()
    slow.go.release(2)
    assert texts([kept]) == ["3"]
    assert slow.batches == [[1], [3]]
    with pytest.raises(CancelledError):
        cancelled.result()


def test_an_error_of_the_reader_ends_a_batch_not_the_thread(batcher, slow):
    broken = batcher.submit(["bad"])
    slow.go.release(2)
    with pytest.raises(ValueError, match="bad"):
        broken[0].result(timeout=10)
    assert texts(batcher.submit([8])) == ["8"]


def test_a_stop_reads_what_waits_and_takes_no_more(batcher, slow):
    futures = batcher.submit([1]) + batcher.submit([2, 3])
    slow.go.release(5)
    batcher.stop()
    assert all(future.done() for future in futures)
    assert not batcher.thread.is_alive()
    with pytest.raises(QueueFull):
        batcher.submit([4])
