"""What a run is going to do, said before its first step and kept in summary.json."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.policy.batching import Batching
from shared.policy.schedule_base import Schedule


@dataclass(frozen=True)
class Preflight:
    """The plan: sizes in samples, steps and bytes; `schedule` and `warnings` in words."""

    parameters: int
    trainable_parameters: int
    train_samples: int
    val_samples: int
    epochs: int
    steps_per_epoch: int
    effective_batch: str
    schedule: str
    warnings: list[str]
    checkpoint_bytes: int
    disk_needed_bytes: int
    disk_free_bytes: int
    backup: str

    def lines(self) -> list[str]:
        """The plan as a person reads it."""
        frozen = self.parameters - self.trainable_parameters
        kept = f" ({frozen:,} of them frozen)" if frozen else ""
        plan = [
            f"parameters   {self.parameters:,}{kept}",
            f"samples      {self.train_samples:,} to train on in an epoch, {self.val_samples:,} to validate",
            f"steps        {self.steps_per_epoch:,} an epoch x {self.epochs} = {self.steps_per_epoch * self.epochs:,}",
            f"batch        {self.effective_batch}",
            f"schedule     {self.schedule}",
            f"checkpoints  {size(self.checkpoint_bytes)} each, up to {size(self.disk_needed_bytes)} in all; "
            f"{size(self.disk_free_bytes)} free",
            f"backup       {self.backup}",
        ]
        return plan + [f"warning      {warning}" for warning in self.warnings]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def inspect(
    parameters: list[tuple[int, bool]],
    schedule: Schedule,
    batching: Batching,
    samples: tuple[int, int],
    folder: Path,
    backup: str,
    moments: int,
    files: int,
    probe: bool,
    compares_samples: bool = False,
    remarks: Sequence[str] = (),
) -> Preflight:
    """Measure the plan: a checkpoint holds weights and `moments` of each; `files` are kept at once.

    `parameters`: size of each and whether it is trained. `probe`: the micro batch is still to be found.
    `compares_samples`: the loss depends on what else is in the micro batch. `remarks` are what the data have to say.
    """
    count, trainable = sum(n for n, _ in parameters), sum(n for n, trained in parameters if trained)
    checkpoint = 4 * (count + trainable * moments)
    free = shutil.disk_usage(folder).free
    needed = checkpoint * files
    warnings = [*remarks]
    warnings += [text] if (text := schedule.mid_cycle_warning(schedule.total_steps)) else []
    if compares_samples and batching.micro < batching.effective:
        warnings.append(
            f"the loss compares samples only within micro batches of {batching.micro}, not all {batching.effective}: "
            "another loss than on one device with micro_batch_size=null"
        )
    if needed > free:
        warnings.append(f"checkpoints may need {size(needed)} but only {size(free)} are free on {folder}")
    return Preflight(
        parameters=count,
        trainable_parameters=trainable,
        train_samples=samples[0],
        val_samples=samples[1],
        epochs=schedule.epochs,
        steps_per_epoch=schedule.steps_per_epoch,
        effective_batch=f"{batching.effective}, at once as many as fit"
        if probe
        else batch_in_words(batching),
        schedule=schedule.describe(schedule.total_steps),
        warnings=warnings,
        checkpoint_bytes=checkpoint,
        disk_needed_bytes=needed,
        disk_free_bytes=free,
        backup=backup,
    )


def batch_in_words(batching: Batching) -> str:
    parts = f"{batching.micro} x {batching.accumulation} accumulation x {batching.devices} device"
    return f"{batching.effective} = {parts}{'s' if batching.devices > 1 else ''}"


def size(count: float) -> str:
    """Bytes as a person reads them: 1536 -> '1.5 kB' (powers of 1000, as disks are sold)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
