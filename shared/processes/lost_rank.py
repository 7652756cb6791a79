"""When another rank dies: the run says so and ends, its state on disk, whatever its processes wait for."""

import os
import threading
import time
from collections.abc import Callable

from shared.errors import UserError

SIGNS = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "ncclRemoteError",
    "recvValue",
)
MEND = "look at what it said before; the same command with the same run_dir goes on from the last checkpoint"
STOPPED = (0, 130, 143)  # exit codes of a rank that ended as all do


class Watch(threading.Thread):
    """Asks `gone` twice a second; once it says something, leaves the process `grace` seconds to end, then calls `act`.

    With gloo the next exchange fails and the process ends by itself; with NCCL it would wait for minutes.
    """

    def __init__(self, gone: Callable[[], str], act: Callable[[str], None], grace: float = 10.0) -> None:
        super().__init__(name="lost-rank", daemon=True)
        self.gone, self.act, self.grace = gone, act, grace
        self.said, self.over = "", threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            if said := self.gone():
                self.said = said
                if not self.over.wait(self.grace):
                    self.act(said)
                return


def watch_parent() -> Watch:
    """Watch over whoever has started this process, one of several: a launcher, or rank 0."""
    parent = os.getppid()
    watch = Watch(lambda: "" if os.getppid() == parent else "rank 0 has died", lambda _: os._exit(1))
    watch.start()
    return watch


def explain(error: Exception, watch: Watch) -> UserError | None:
    """What to tell instead of the error that an exchange with a dead rank raises; None for any other."""
    if not watch.said and not any(sign in str(error) for sign in SIGNS):
        return None
    deadline = time.monotonic() + 2  # the watch may not have looked yet
    while not watch.said and time.monotonic() < deadline:
        time.sleep(0.1)
    return UserError(watch.said or "another rank has died", "trainer.devices", MEND)
