"""Where log lines go: the console and `<run_dir>/train.log`, each line once, the frameworks' own lines included."""

import logging
import sys
import warnings
from typing import TextIO


class ConsoleHandler(logging.StreamHandler):
    """Writes to whatever `sys.stdout` is at that moment, so that a live progress bar stays whole."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what the command line says on stderr itself, and Lightning's chatter; train.log has both."""
        chatter = record.name.startswith("lightning") and record.levelno < logging.WARNING
        return not chatter and not getattr(record, "file_only", False)

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class FileHandler(logging.FileHandler):
    """`train.log`; while its disk is full, lines reach the console alone, and without a traceback each."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def printable(text: str) -> str:
    """Names of files need not be text: bytes that are none become `\\udcff` and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def silence() -> None:
    """Ranks but the first: no train.log, and on the console errors alone."""
    for handler in list(logging.root.handlers):
        if isinstance(handler, FileHandler):
            logging.root.removeHandler(handler)
            handler.close()
        else:
            handler.setLevel(logging.ERROR)


def adopt_frameworks() -> None:
    """Let the frameworks' loggers propagate to ours: handlers that Lightning installs at import double lines."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] in {"lightning", "pytorch_lightning", "lightning_fabric", "py", "wandb"}:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
    logging.captureWarnings(True)
    for noise in (
        r"`isinstance\(treespec",
        "The number of training batches",
        ".*does not have many workers",
        "The `srun` command is available",
        "It is recommended to use `self.log",  # ours agree already: torchmetrics, or summed by hand
        "You're resuming from a checkpoint that ended before the epoch",
    ):
        warnings.filterwarnings("ignore", message=noise)
    for chatty in ("fsspec", "matplotlib", "PIL", "paramiko"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
