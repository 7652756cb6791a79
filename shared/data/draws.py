"""Random numbers keyed by what they are for, so that workers, ranks and resumes cannot change them."""

import zlib

from numpy.random import Generator, Philox


def keyed_generator(seed: int, purpose: str, epoch: int = 0, index: int = 0) -> Generator:
    """The generator of one (seed, purpose, epoch, index); distinct keys give disjoint streams.

    Philox is a counter-based generator (Salmon et al. 2011): the key words sit in the high words of
    its counter, and drawing advances only the lowest.
    """
    return Generator(Philox(key=seed, counter=[0, zlib.crc32(purpose.encode()), epoch, index]))
