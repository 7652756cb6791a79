"""Files of a data set that cannot be read: each named once and counted; too many of them end the run."""

import logging

from shared.errors import UserError

log = logging.getLogger(__name__)


class Unreadable:
    """The samples of a data set of `total` whose files cannot be read, at most `allowed` of them.

    Counts in the main process: workers replace such a sample by another and mark it in the batch.

    >>> unreadable = Unreadable(allowed=10, total=500)
    >>> unreadable.add(3, "c.jpg: empty file")
    >>> 3 in unreadable, 4 in unreadable
    (True, False)
    """

    def __init__(
        self, allowed: int, total: int, mend: str = "repair or delete the file, or allow more"
    ) -> None:
        self.allowed, self.total, self.mend = allowed, total, mend
        self.samples: set[int] = set()

    def __contains__(self, sample: int) -> bool:
        return sample in self.samples

    def add(self, sample: int, error: object, no_stand_in: bool = False) -> None:
        """Name a file that is not named yet. `no_stand_in`: nothing can be trained on in its place.

        Errors: UserError for more than `allowed`, for all of `total`, and without a stand-in.
        """
        if sample in self.samples:
            return
        self.samples.add(sample)
        count = len(self.samples)

        if count > self.allowed or count == self.total or no_stand_in:
            what = f"{error}; unreadable files: {count}, allowed: {self.allowed}"
            raise UserError(what, "data.max_corrupt", self.mend)
        log.warning("skipped %s (%d unreadable of at most %d)", error, count, self.allowed)
