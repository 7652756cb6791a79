"""Samples and random numbers keyed by what they are for, so that workers, ranks and resumes cannot change them."""

import zlib
from typing import NamedTuple

from numpy.random import Generator, Philox


class SampleKey(NamedTuple):
    """What a data set is asked for; carries all that a worker must know, so workers hold no state.

    `epoch` counts passes over the data, so (epoch, index) is never drawn twice; `size` is the side in
    pixels when the image size changes over training, None for the data set's own.
    """

    epoch: int
    index: int
    size: int | None = None


def keyed_generator(seed: int, purpose: str, epoch: int = 0, index: int = 0) -> Generator:
    """The generator of one (seed, purpose, epoch, index); distinct keys give disjoint streams.

    Philox is a counter-based generator (Salmon et al. 2011): the key words sit in the high words of
    its counter, and drawing advances only the lowest.

    >>> flip = keyed_generator(seed=1, purpose="flip", epoch=3, index=42).random()
    >>> flip == keyed_generator(seed=1, purpose="flip", epoch=3, index=42).random()
    True
    >>> flip == keyed_generator(seed=1, purpose="flip", epoch=4, index=42).random()
    False
    """
    return Generator(Philox(key=seed, counter=[0, zlib.crc32(purpose.encode()), epoch, index]))
