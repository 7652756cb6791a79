"""When another rank dies: the run says so and ends, its state on disk, whatever its processes wait for."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

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


class WatchedLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks as Lightning does, whose own watch would kill this process without a word."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(self.num_processes, self.num_nodes)
        self._call_children_scripts()
        return function(*args, **kwargs)

    def lost(self) -> str:
        """Which of the ranks has died and how; nothing while all are well."""
        for rank, process in enumerate(self.procs, 1):
            if process.poll() not in (None, *STOPPED):
                return f"rank {rank} (process {process.pid}) {in_words(process)}"
        return ""

    def end(self) -> None:
        for process in self.procs:
            process.kill()


def in_words(process: subprocess.Popen) -> str:
    code = process.returncode
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def watch_ranks(trainer: lightning.Trainer, act: Callable[[str], None]) -> Watch:
    """Watch over the ranks that this one starts; if it starts none, over whoever has started it."""
    launcher, parent = trainer.strategy.launcher, os.getppid()
    if (
        isinstance(launcher, _SubprocessScriptLauncher)
        and not launcher.cluster_environment.creates_processes_externally
    ):
        watched = WatchedLauncher(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        trainer.strategy._launcher = watched

        def end(said: str) -> None:
            act(said)
            watched.end()
            os._exit(2)

        watch = Watch(watched.lost, end)
    else:
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
