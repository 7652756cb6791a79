"""What training and validation say of each other: labels, inputs, learning rate, overfitting.

All of it is set against chance: among C classes a network that knows nothing is right in 1 of C cases, and its
cross-entropy is ln C.
"""

import numpy as np

from shared.runs.diagnosis.finding import Finding
from shared.runs.diagnosis.sides import Sides, both_sides, first
from shared.runs.reading.configs import flat
from shared.runs.reading.names import show
from shared.runs.reading.runlog import RunLog

EARLIEST = 4  # epochs before which a run is not judged
MIXING = (
    "mixup",
    "cutmix",
    "dropout",
    "randaugment",
    "rand_augment",
    "trivialaugment",
    "autoaugment",
    "stochastic",
)


def generalising(run: RunLog) -> list[Finding]:
    """At most one finding: the likeliest reason why training and validation stand as they do."""
    sides = both_sides(run)
    if sides is None or sides.epoch < EARLIEST:
        return []
    for check in (_exploded, _permuted, _other_input, _not_learning, _noisy, _overfitted):
        if found := check(run, sides):
            return [found]
    return []


def _exploded(run: RunLog, at: Sides) -> Finding | None:
    """A loss far above that of knowing nothing: the learning rate is too high, or the loss sums where it should not."""
    floor = at.untrained if at.classes else first(at.train_losses)
    worst_train, worst_held = np.nanmax(at.train_losses), np.nanmax(at.held_losses, initial=-np.inf)
    tenfold = max(worst_train / 3, worst_held / 10)
    late = np.isfinite(at.train_accuracy) and at.classes and at.train_accuracy > 5 * at.chance
    if not floor > 0 or tenfold <= floor or late:
        return None
    evidence = [
        f"an untrained network has {floor:.3g}; {at.loss_name} reached {max(worst_train, worst_held):.4g}"
    ]
    if run.lr is not None and np.isfinite(run.lr).any():
        evidence.append(f"the learning rate went up to {np.nanmax(run.lr):.3g}")
    message = f"the loss exploded to {max(worst_train, worst_held):.4g}: the learning rate is too high"
    return _finding(run, at, "loss_exploded", message, evidence, "optimizer.lr: a tenth of it; clip_norm=1.0")


def _permuted(run: RunLog, at: Sides) -> Finding | None:
    """Validation below chance while training is learned: its labels do not belong to its samples."""
    learned = at.train_accuracy > 3 * at.chance
    if not (learned and at.held_accuracy < 0.6 * at.chance and at.held_loss > at.untrained):
        return None
    message = (
        f"{at.accuracy_name} is {show(at.accuracy_name, at.held_accuracy)}, below chance ({at.chance:.2%})"
    )
    evidence = [
        f"training: {show(at.accuracy_name, at.train_accuracy)}, loss {at.train_loss:.3g}",
        f"{at.loss_name} {at.held_loss:.3g} is above ln({at.classes}) = {at.untrained:.3g}: sure and wrong",
        "labels of the validation set that are in another order than its samples, or than training's, look like this",
    ]
    return _finding(
        run, at, "labels_permuted", message, evidence, "compare the class lists of both sets; look at samples"
    )


def _other_input(run: RunLog, at: Sides) -> Finding | None:
    """Training is learned, validation is near chance from the first to the last epoch: its input is another."""
    learned = at.train_accuracy > max(0.5, 4 * at.chance) and at.train_loss < 0.7 * at.untrained
    if not (learned and at.held_accuracy < 0.45 * at.train_accuracy and at.held_loss > 0.9 * at.untrained):
        return None
    message = (
        f"training is learned ({show(at.accuracy_name, at.train_accuracy)}), validation is near chance "
        f"({show(at.accuracy_name, at.held_accuracy)}): its input differs from training's"
    )
    evidence = [
        f"{at.loss_name} {at.held_loss:.3g} is about ln({at.classes}) = {at.untrained:.3g} or above",
        "another normalisation, channel order or size at evaluation looks like this, as does a handful of samples "
        "learned by heart",
    ]
    return _finding(
        run,
        at,
        "input_differs",
        message,
        evidence,
        "evaluate.py split=train: it should score as training did",
    )


def _not_learning(run: RunLog, at: Sides) -> Finding | None:
    """Training itself stays at chance: labels that say nothing, a dead or frozen network, a learning rate near 0."""
    at_chance = at.train_accuracy < 1.6 * at.chance or not np.isfinite(at.train_accuracy)
    flat = at.train_loss > 0.97 * at.untrained
    if not (at.classes and at_chance and flat):
        return None
    message = f"after {at.epoch} epochs the training loss is {at.train_loss:.4g}: that of guessing among {at.classes}"
    evidence = [
        f"ln({at.classes}) = {at.untrained:.4g}; training accuracy {show(at.accuracy_name, at.train_accuracy)}"
    ]
    norm = run.columns.get("train/grad_norm")
    moving = norm is not None and np.isfinite(norm).any() and np.nanmedian(norm) > 0.5
    why = "gradients are there, but say nothing lasting: labels that do not belong to the samples look like this"
    evidence.append(
        why if moving else "a dead layer, frozen weights or a learning rate near 0 look like this"
    )
    return _finding(
        run,
        at,
        "not_learning",
        message,
        evidence,
        "overfit one batch: samples_per_epoch=one batch, no augment",
    )


def _noisy(run: RunLog, at: Sides) -> Finding | None:
    """Validation far above training: wrong labels in the training set, or a hard augmentation."""
    gap = at.held_accuracy - at.train_accuracy
    if not (gap > 0.2 and at.train_loss > 1.15 * at.held_loss and at.train_accuracy < 0.7):
        return None
    off = ("0", "0.0", "None", "False", "", "[]", "{}")
    mixed = any(
        (word in key.lower() and value not in off) or word in value.lower()
        for key, value in flat(run.config).items()
        for word in MIXING
    )
    message = (
        f"validation ({show(at.accuracy_name, at.held_accuracy)}) is far above training "
        f"({show(at.accuracy_name, at.train_accuracy)})"
    )
    evidence = [f"losses {at.train_loss:.3g} in training, {at.held_loss:.3g} in validation"]
    evidence.append("wrong labels in the training set look like this; so do mixup and hard augmentation")
    severity = "info" if mixed else "warning"
    command = "look at the training samples with the highest loss"
    return _finding(run, at, "label_noise", message, evidence, command, severity)


def _overfitted(run: RunLog, at: Sides) -> Finding | None:
    """Training is known by heart, validation is far below."""
    if not (at.train_accuracy > 0.95 and at.train_accuracy - at.held_accuracy > 0.25):
        return None
    message = (
        f"overfitting: training {show(at.accuracy_name, at.train_accuracy)}, "
        f"validation {show(at.accuracy_name, at.held_accuracy)}"
    )
    lowest = int(np.nanargmin(at.held_losses)) + 1 if np.isfinite(at.held_losses).any() else None
    evidence = [f"losses {at.train_loss:.3g} in training, {at.held_loss:.3g} in validation"]
    evidence += [f"{at.loss_name} was lowest at its validation {lowest}"] if lowest else []
    return _finding(
        run, at, "overfitting", message, evidence, "more data, augmentation, weight decay or a smaller model"
    )


def _finding(
    run: RunLog,
    at: Sides,
    code: str,
    message: str,
    evidence: list[str],
    command: str,
    severity: str = "warning",
) -> Finding:
    return Finding(code, severity, message, at.epoch, str(run.path), evidence, command)
