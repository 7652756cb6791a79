"""Where a run goes on from: the newest checkpoint that can be read, in its folder or in its backup."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from shared.checkpoints.file import KEY, broken, candidates, read
from shared.config.settings import Difference, differences
from shared.errors import UserError
from shared.record.folder import RunFolder

log = logging.getLogger(__name__)

NAMED = 10
"""Differences that an error names."""


@dataclass
class Start:
    """Where a run begins: at checkpoint `path`, or afresh if that is None; `state` is our part of it.

    `differences` are settings that differ from the checkpoint's (`mode` extend only).
    """

    mode: str = "exact"
    path: Path | None = None
    state: dict[str, Any] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    began: list[str] | None = None
    """The `resume` path and mode that the run once began with, where it began with one."""
    lr_jump: float | None = None
    """Next LR / last LR, where an extended run goes on with more than twice the LR."""

    @property
    def afresh(self) -> bool:
        """Epoch 0; only the weights, if any, are the checkpoint's."""
        return self.path is None or self.mode == "weights"

    @property
    def checkpoint(self) -> Path | None:
        """What Lightning restores."""
        return None if self.afresh else self.path

    @property
    def seconds(self) -> float:
        """How long the run had been trained until the checkpoint; files from before this was kept do not tell."""
        return self.state.get("seconds", 0.0)

    def is_over(self, epochs: int) -> bool:
        """Nothing is left to train: all `epochs` are done, or the run had stopped by itself."""
        if self.checkpoint is None:
            return False
        return self.state["epoch"] >= epochs or (self.mode == "exact" and self.state["status"] is not None)


def find(cfg: DictConfig, folder: RunFolder, restore: Any = None) -> Start:
    """The start that `resume` and `resume_mode` ask for; `restore(state, began)` fetches the run from its
    backup if that is further than the checkpoint here (of that state, or None).

    Raises UserError for a checkpoint that cannot be used, and for resume_mode=exact with other settings.
    """
    return begin(cfg, folder, _locate(cfg, folder, restore))


def begin(cfg: DictConfig, folder: RunFolder, path: Path | None) -> Start:
    """The start at checkpoint `path`, or afresh; raises as `find`."""
    mode, began = cfg.resume_mode, _began(cfg)
    if path is None and mode != "exact":
        what = f"there is no checkpoint to go on from in {folder.checkpoints}"
        raise UserError(what, f"resume_mode={mode}", "give resume=PATH, or start with resume_mode=exact")
    if path is not None and _goes_on(cfg, folder, path):
        mode = "exact"
    if path is None or mode == "weights":
        return Start(mode, path, began=began)
    state = read(path).get(KEY)
    if state is None:
        mend = "take them with resume_mode=weights, or as model.weights="
        raise UserError(f"{path} holds weights only", "resume", mend)
    found = differences(state["config"], cfg)
    if found and mode == "exact":
        named = [str(each) for each in found[:NAMED]] + [f"{len(found) - NAMED} more"] * (len(found) > NAMED)
        what = f"{len(found)} settings differ from those of {path}: {'; '.join(named)}"
        mend = "set them back, or go on with the new ones by resume_mode=extend (resume=never starts afresh)"
        raise UserError(what, "resume_mode=exact", mend)
    return Start(mode, path, state, found, began or state.get("began"))


def _began(cfg: DictConfig) -> list[str] | None:
    """What a run that begins at `resume`=PATH remembers of that."""
    if cfg.resume in ("auto", "never"):
        return None
    return [str(Path(cfg.resume).expanduser().resolve()), cfg.resume_mode]


def _goes_on(cfg: DictConfig, folder: RunFolder, path: Path) -> bool:
    """Whether checkpoint `path` of this folder is what the same command with its resume=PATH has come to.

    With other settings it is another command, which begins at PATH. All ranks see this for themselves.
    """
    began, state = _began(cfg), read(path).get(KEY, {})
    own = path.resolve().parent == folder.checkpoints and began is not None and state.get("began") == began
    return own and not differences(state["config"], cfg)


def _locate(cfg: DictConfig, folder: RunFolder, restore: Any) -> Path | None:
    if cfg.resume == "never":
        return None
    path, auto = newest(folder), cfg.resume == "auto"
    looks = restore is not None and (auto or path is None or _goes_on(cfg, folder, path))
    if looks and restore(read(path).get(KEY, {}) if path else None, _began(cfg)):
        path = newest(folder)
    if auto:
        return path
    if path is None or not _goes_on(cfg, folder, path):
        return _named(Path(cfg.resume).expanduser())
    log.info("resume: %s began at %s, and goes on from where it is", folder.path, cfg.resume)
    return path


def make_room(start: Start, folder: RunFolder) -> None:
    """Keep what the run is about to overwrite: another run's files, or the later part of this one."""
    here = candidates(folder.checkpoints)
    if start.checkpoint and here and here[0].samefile(start.checkpoint):
        return
    own = start.path is not None and start.path.resolve().parent == folder.checkpoints
    if any(folder.checkpoints.glob("[!.]*")):
        kept = folder.set_aside(clear=start.afresh or not own)
        log.info("resume: what was in %s is kept in %s", folder.path, kept)
        if own and start.afresh:
            start.path = kept / "checkpoints" / start.path.name
    if start.afresh:
        folder.metrics.cut(0)
    elif not own:
        folder.adopt(start.path.resolve().parents[1], start.state["run_id"])


def newest(folder: RunFolder) -> Path | None:
    """The newest good checkpoint of a run; damaged ones are reported and put aside as `<name>.damaged`."""
    for path in candidates(folder.checkpoints):
        reason = broken(path)
        if reason is None:
            return path
        message = f"resume: {path} is damaged ({reason}); trying the one before it"
        folder.events.add("checkpoint_damaged", message, epoch=1, step=0, level=logging.WARNING)
        inode = path.stat().st_ino
        for name in [each for each in folder.checkpoints.glob("*.ckpt") if each.stat().st_ino == inode]:
            name.replace(name.with_name(f"{name.name}.damaged"))
    return None


def _named(path: Path) -> Path:
    if path.is_dir():
        path = next(iter(candidates(path / "checkpoints") or candidates(path)), path)
    if not path.is_file():
        raise UserError(
            f"no checkpoint at {path}", "resume", "give a .ckpt file or a run folder, auto or never"
        )
    if reason := broken(path):
        mend = "give another checkpoint, or auto; files of weights alone are for model.weights="
        raise UserError(f"{path} is damaged, or no checkpoint: {reason}", "resume", mend)
    return path
