"""One process trains in a run folder at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared.errors import SweepError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder against other processes; SweepError, which ends a sweep too, where another one holds it.

    POSIX's lock rather than flock: forked workers that outlive this process do not keep it, and so the kernel lets go
    of it the moment this process ends, however it does.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context((folder / ".lock").open("a"))
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mend = "choose another run_dir=, or stop it"
            raise SweepError(f"another process trains in {folder}", "run_dir", mend) from None
        except OSError:
            pass  # some mounted drives have no locks; what else is wrong with a folder shows at the first file
        yield
