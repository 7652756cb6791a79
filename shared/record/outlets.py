"""What leaves a run through its loggers must never hold it up: failures are said once, waits are bounded."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from shared.record.folder import RunFolder

log = logging.getLogger(__name__)

WANDB_SETTINGS = {"init_timeout": 30, "silent": True}


def build(nodes: Any, folder: RunFolder) -> list[Any]:
    """The loggers that `conf/logger` names."""
    loggers = [instantiate(node, folder=folder) for node in (nodes or {}).values()]
    return [harmless(logger) for logger in loggers if logger is not None]


def harmless(logger: Any) -> Any:
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


@contextmanager
def errors_logged(what: str) -> Iterator[None]:
    """Whatever goes wrong with `what`, a full disk say, is logged and does not end the run."""
    try:
        yield
    except Exception as error:
        log.error("%s: not written this time, %s: %s", what, type(error).__name__, error)


def has_login() -> bool:
    """Whether W&B has a key to log in with; says so if not."""
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    if os.environ.get("WANDB_API_KEY"):
        return True
    if netrc.is_file() and "api.wandb.ai" in netrc.read_text(errors="ignore"):
        return True
    log.warning(
        "W&B: no API key, so the run is logged offline; set WANDB_API_KEY, or sync later with `wandb sync`"
    )
    return False


def report_not_logging(error: Exception) -> None:
    """Say why W&B does not log; whatever it raises, the run matters more."""
    reason = str(error).splitlines()[0] if str(error) else ""
    log.warning("W&B: not logging, %s: %s", type(error).__name__, reason)


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
