"""What a server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
LINES = (1, 2, 4, 8, 16)


class Meters:
    """Counters of one server; `waiting` tells how many lines are in the queue."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "trainyard_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.images = Counter("trainyard_images", "Images read or refused.", ["outcome"], registry=registry)
        self.seconds = Histogram(
            "trainyard_recognize_seconds", "Time of a request.", registry=registry, buckets=SECONDS
        )
        self.batch = Histogram(
            "trainyard_batch_lines", "Lines read together.", registry=registry, buckets=LINES
        )
        Gauge("trainyard_queue_lines", "Lines waiting.", registry=registry).set_function(waiting)

    def text(self) -> bytes:
        return generate_latest(self.registry)
