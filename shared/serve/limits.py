"""What one request, and all requests together, may take from the machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """`body` in bytes, `pixels` of one image, `images` and `seconds` of a request, lines in the `queue` of all."""

    body: int = 8 * 2**20
    pixels: int = 10_000_000
    images: int = 32
    seconds: float = 20.0
    queue: int = 256
