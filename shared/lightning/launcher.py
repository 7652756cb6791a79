"""Ranks that Lightning starts, watched over by the one that has started them."""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from shared.processes.lost_rank import STOPPED, Watch, watch_parent


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


def watch_ranks(trainer: lightning.Trainer, act: Callable[[str], None]) -> Watch | None:
    """Watch over the ranks that this one starts; if it starts none, over whoever has started it; None for one alone."""
    if trainer.world_size == 1:
        return None  # its parent is a shell, which may well end before it
    launcher = trainer.strategy.launcher
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
        watch.start()
        return watch
    return watch_parent()
