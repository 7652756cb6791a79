"""Reads the images of requests with one reader that all of them share."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, TimeoutError
from typing import Any

import numpy as np
from werkzeug.exceptions import ServiceUnavailable

from shared.errors import ImageError
from shared.ocr.line_image import decode, prepare
from shared.ocr.reader import Reader, Reading
from shared.serve.batcher import Batcher, QueueFull
from shared.serve.limits import Limits
from shared.serve.meters import Meters
from shared.serve.uploads import Upload

DECODERS = 2  # images decoded at once: each takes many bytes a pixel


class Service:
    """`reader` behind a queue, within `limits`; `name` is the model's."""

    def __init__(self, reader: Reader, name: str, limits: Limits) -> None:
        self.reader, self.name, self.limits = reader, name, limits
        self.meters = Meters(lambda: len(self.batcher.waiting))
        self.decoders = threading.BoundedSemaphore(DECODERS)
        self.batcher = Batcher(self.read, limits.queue)
        self.stopping = False

    def read(self, lines: Sequence[np.ndarray]) -> list[Reading]:
        self.meters.batch.observe(len(lines))
        return self.reader.read(lines)

    def recognize(self, uploads: list[Upload]) -> list[dict[str, Any]]:
        """One result an upload, in their order: text and score, or an error."""
        deadline = time.monotonic() + self.limits.seconds
        lines, errors = {}, {}
        for index, upload in enumerate(uploads):
            try:
                lines[index] = self.line(upload, deadline)
            except ImageError as error:
                errors[index] = str(error)
        try:
            futures = dict(zip(lines, self.batcher.submit(list(lines.values())), strict=True))
        except QueueFull:
            raise ServiceUnavailable("too many lines are waiting; try again", retry_after=1) from None
        try:
            found = [
                self.result(index, upload, futures.get(index), errors.get(index), deadline)
                for index, upload in enumerate(uploads)
            ]
        finally:
            for future in futures.values():
                future.cancel()
        self.meters.images.labels("read").inc(sum("text" in each for each in found))
        self.meters.images.labels("refused").inc(sum("error" in each for each in found))
        return found

    def line(self, upload: Upload, deadline: float) -> np.ndarray:
        """The upload as the reader wants it; ImageError, or ServiceUnavailable when the time is up."""
        if not self.decoders.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self.late()
        try:
            return prepare(decode(upload.data(), self.limits.pixels), self.reader.height)
        finally:
            self.decoders.release()

    def result(
        self, index: int, upload: Upload, future: Future[Reading] | None, error: str | None, deadline: float
    ) -> dict[str, Any]:
        shown = {"index": index} | ({"name": upload.name} if upload.name else {})
        if future is None:
            return shown | {"error": error}
        try:
            reading = future.result(timeout=max(0.0, deadline - time.monotonic()))
        except (TimeoutError, CancelledError):
            raise self.late() from None
        except Exception:  # the reader's, already logged; the other images of the batch may be fine
            return shown | {"error": "the image could not be read"}
        return shown | {"text": reading.text, "score": round(float(reading.score), 4)}

    def late(self) -> ServiceUnavailable:
        return ServiceUnavailable(f"not done within {self.limits.seconds:g} seconds", retry_after=5)
