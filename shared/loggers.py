"""Loggers beside metrics.csv: TensorBoard and Weights & Biases, in the run folder, without ever holding up a run."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from shared.run_folder import RunFolder

log = logging.getLogger(__name__)


def harmless(logger: Logger) -> Logger:
    """The logger, whose first failure (a full disk, say) ends its logging and not the run."""

    broken = threading.Event()

    def guarded(method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **named: Any) -> None:
            if broken.is_set():
                return
            try:
                method(*arguments, **named)
            except Exception as error:  # whatever a logger raises, the run matters more
                broken.set()
                log.error("%s logs no more: %s", type(logger).__name__, error)

        return call

    for name in ("log_hyperparams", "log_metrics", "save", "finalize"):
        setattr(logger, name, guarded(getattr(logger, name)))
    return logger


def tensorboard(folder: RunFolder) -> Logger:
    """TensorBoard event files in `<run_dir>/tensorboard`."""
    return TensorBoardLogger(folder.path, name="tensorboard", version="")


def wandb(folder: RunFolder, wandb_project: str, entity: str | None, offline: bool) -> Logger | None:
    """A W&B run whose id is the run folder's, so that a resumed run continues it; None (and a line) if W&B refuses."""
    if not offline and not os.environ.get("WANDB_API_KEY") and not _has_login():
        log.warning(
            "W&B: no API key, so the run is logged offline; set WANDB_API_KEY, or sync later with `wandb sync`"
        )
        offline = True
    try:
        import wandb as client

        settings = client.Settings(init_timeout=30, silent=True, mode="offline" if offline else "online")
        logger = WandbLogger(
            project=wandb_project,
            entity=entity,
            name=folder.path.name,
            id=folder.id,
            save_dir=folder.path,
            offline=offline,
            resume=None if offline else "allow",
            settings=settings,
        )
        _ = logger.experiment
        return logger
    except Exception as error:  # whatever W&B raises, the run matters more
        log.warning(
            "W&B: not logging, %s: %s", type(error).__name__, str(error).splitlines()[0] if str(error) else ""
        )
        return None


def finish(patience: float = 60.0) -> None:
    """Close the W&B run of this process, so that the next job of a sweep gets its own; waits `patience` s at most."""
    client = sys.modules.get("wandb")
    if client is None or client.run is None:
        return
    closing = threading.Thread(target=client.finish, daemon=True)
    closing.start()
    closing.join(patience)
    if closing.is_alive():
        log.warning("W&B: still sending after %.0f s; `wandb sync` sends the rest", patience)


def _has_login() -> bool:
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return netrc.is_file() and "api.wandb.ai" in netrc.read_text(errors="ignore")


def build(nodes: Any, folder: RunFolder) -> list[Logger]:
    """The loggers that `conf/logger` names."""
    from hydra.utils import instantiate

    loggers = [instantiate(node, folder=folder) for node in (nodes or {}).values()]
    return [harmless(logger) for logger in loggers if logger is not None]
