"""What a user can mend, as a single `error:` line and exit code 2; and how a run ends that lost its training."""


class UserError(Exception):
    """`what` went wrong, `where` (config key or file), and how to `mend` it."""

    def __init__(self, what: str, where: str, mend: str) -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(f"{what} ({where}): {mend}")


class StoppedNonFinite(Exception):
    """The policy gave the run up: NaN or inf came back after every skip and rollback."""


class ImageError(Exception):
    """A file that holds no readable image; the message names it."""
