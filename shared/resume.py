"""Where a run goes on from: the newest checkpoint that can be read."""

import logging
import zipfile
from pathlib import Path

from omegaconf import DictConfig

from shared.errors import UserError
from shared.run_folder import RunFolder

log = logging.getLogger(__name__)


def broken(path: Path) -> str | None:
    """Why the checkpoint cannot be trusted, by the checksums inside it; None if every byte of its data is intact."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return f"checksum of {damaged} differs" if damaged else None


def find(cfg: DictConfig, folder: RunFolder) -> Path | None:
    """The checkpoint that `resume` asks for; damaged ones are reported and passed over."""
    if cfg.resume == "never":
        return None
    if cfg.resume != "auto":
        return _named(Path(cfg.resume).expanduser())
    for path in candidates(folder.checkpoints):
        reason = broken(path)
        if reason is None:
            return path
        log.warning("resume: %s is damaged (%s); trying the one before it", path, reason)
    return None


def candidates(folder: Path) -> list[Path]:
    """Checkpoints of a folder, newest first, each file once however many names it has."""
    files = [path for path in folder.glob("*.ckpt") if not path.name.startswith(".")]
    order = {"last.ckpt": 0, "previous.ckpt": 1}
    files.sort(key=lambda path: (order.get(path.name, 2), -path.stat().st_mtime_ns))
    seen: set[tuple[int, int]] = set()
    return [
        path
        for path in files
        if (key := (path.stat().st_dev, path.stat().st_ino)) not in seen and not seen.add(key)
    ]


def _named(path: Path) -> Path:
    if path.is_dir():
        path = next(iter(candidates(path / "checkpoints") or candidates(path)), path)
    if not path.is_file():
        raise UserError(
            f"no checkpoint at {path}", "resume", "give a .ckpt file or a run folder, auto or never"
        )
    if reason := broken(path):
        raise UserError(f"{path} is damaged: {reason}", "resume", "give another checkpoint, or auto")
    return path
