"""Reads the images of requests with one reader that all of them share."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, TimeoutError
from typing import Any

import numpy as np
from werkzeug.exceptions import ServiceUnavailable

from shared.errors import ImageError
from shared.ocr.lines.image import decode, prepare
from shared.ocr.reading.reader import Reader, Reading
from shared.serve.batcher import Batcher, QueueFull
from shared.serve.limits import Limits
from shared.serve.meters import Meters
from shared.serve.uploads import Upload

DECODERS = 2  # threads: an image takes many bytes a pixel, and each thread's heap keeps what it has once had


class Service:
    """`reader` behind a queue, within `limits`; `name` is the model's."""

    def __init__(self, reader: Reader, name: str, limits: Limits) -> None:
        self.reader, self.name, self.limits = reader, name, limits
        self.meters = Meters(lambda: len(self.batcher.waiting))
        self.decoders = ThreadPoolExecutor(DECODERS, "decoder")
        self.batcher = Batcher(self.read, limits.queue)
        self.stopping = False

    def read(self, lines: Sequence[np.ndarray]) -> list[Reading]:
        self.meters.batch.observe(len(lines))
        return self.reader.read(lines)

    def recognize(self, uploads: list[Upload]) -> list[dict[str, Any]]:
        """One result an upload, in their order: text and score, or an error."""
        deadline = time.monotonic() + self.limits.seconds
        begun: list[Future] = [self.decoders.submit(self.line, upload) for upload in uploads]
        try:
            found = self.gather(dict(enumerate(begun)), deadline)
            lines = {index: line for index, line in found.items() if not isinstance(line, str)}
            reading = dict(zip(lines, self.batcher.submit(list(lines.values())), strict=True))
            begun += reading.values()
            found |= self.gather(reading, deadline)
        except QueueFull:
            raise ServiceUnavailable("too many lines are waiting; try again", retry_after=1) from None
        finally:
            for future in begun:
                future.cancel()
        results = [result(index, upload, found[index]) for index, upload in enumerate(uploads)]
        self.meters.images.labels("read").inc(sum("text" in each for each in results))
        self.meters.images.labels("refused").inc(sum("error" in each for each in results))
        return results

    def line(self, upload: Upload) -> np.ndarray:
        """The upload as the reader wants it; ImageError for what is no line."""
        return prepare(decode(upload.data(), self.limits.pixels), self.reader.height)

    def gather(self, futures: dict[int, Future], deadline: float) -> dict[int, Any]:
        """What came of the futures, an error as text; ServiceUnavailable when the time is up."""
        found = {}
        for index, future in futures.items():
            try:
                found[index] = future.result(timeout=max(0.0, deadline - time.monotonic()))
            except ImageError as error:
                found[index] = str(error)
            except (TimeoutError, CancelledError):
                what = f"not done within {self.limits.seconds:g} seconds"
                raise ServiceUnavailable(what, retry_after=5) from None
            except Exception:  # a bug, but the other images of the request are answered
                logging.exception("an image could not be read")
                found[index] = "the image could not be read"
        return found


def result(index: int, upload: Upload, found: Reading | str) -> dict[str, Any]:
    shown = {"index": index} | ({"name": upload.name} if upload.name else {})
    if isinstance(found, str):
        return shown | {"error": found}
    return shown | {"text": found.text, "score": round(float(found.score), 4)}
