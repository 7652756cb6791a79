"""Exceptions with a meaning: a mendable mistake (one `error:` line, exit code 2), the end of a run, no image."""


class UserError(Exception):
    """`what` went wrong, `where` (config key or file), and how to `mend` it.

    >>> print(UserError("no folder photos", "data.root", "name one that exists"))
    no folder photos (data.root): name one that exists
    """

    def __init__(self, what: str, where: str, mend: str) -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(f"{what} ({where}): {mend}")

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str, str]]:
        """For pickle, which would give `__init__` the message alone: errors come from workers."""
        return type(self), (self.what, self.where, self.mend)


class SweepError(UserError):
    """What is wrong with every job of a sweep, so that none of them runs."""


class StoppedNonFinite(Exception):
    """The policy gave the run up: NaN or inf came back after every skip and rollback."""


class ImageError(Exception):
    """A file that holds no readable image or video; the message names it."""
