"""What a column's name says: learning rate, loss, error rate, cost or score; which split; percent or fraction."""

import re

import numpy as np

_LR = re.compile(r"^(train[/_])?(lr|learning[_ ]?rate)([-_/].*)?$", re.I)
_LOSS = re.compile(r"loss|nll|perplexity|cross.?entropy|^ppl$", re.I)
_ERROR = re.compile(
    r"(^|[^a-z])(cer|wer|per|ser|ter|der|jer|v?t?eer|hter|far|frr|fpr|fnr|err|error|errors|error_rate|edit)([^a-z]|$)",
    re.I,
)
# What is better the lower it is, and no share of anything.
_COST = re.compile(
    r"(^|[^a-z])(min_?dcf|dcf|cllr|mse|rmse|mae|mape|smape|rmsd|rmsle|fid|kid|fad|fvd|lpips|niqe|brisque|mcd|epe|abs_?rel|"
    r"sq_?rel|ece|mce|brier|kl|kld|js|emd|wasserstein|chamfer|hausdorff|hd95|assd|asd|rpe|ate|ade|fde|bpb|bpc|bpd|"
    r"bits_per_\w+|distance|dist|deviation|std|regret|latency|energy|residual|penalty|misclassified|crps|ler)"
    r"([^a-z]|$)",
    re.I,
)
_TRANSCRIPT = re.compile(r"(^|[^a-z])([cwpstdj]er|error|edit)([^a-z]|$)", re.I)
_ACCURACY = re.compile(r"acc|(^|[^a-z])top.?1($|[^0-9])", re.I)
_SCORE = re.compile(r"acc|top.?\d|f1|auc|map|iou|bleu|precision|recall|r2|score|dice|psnr", re.I)
_HELD_OUT = re.compile(
    r"(^|[^a-z])(val|valid|validation|test|eval|dev|veer)([^a-z]|$)|^(val|test|eval)_", re.I
)
_TRAIN = re.compile(r"train|tacc|teer|tloss", re.I)
_PERCENT = re.compile(r"percent|pct|%", re.I)
_COUNTER = re.compile(
    r"^(epoch|step|global_step|iter\w*|\w*time\w*|seconds|samples_per_second|forecast/.*|best_.*|_.*|step/.*|time/.*)$",
    re.I,
)


def kind(name: str) -> str:
    """One of `lr`, `loss`, `error` (a rate), `cost` (no rate), `score`, `counter` or `other`.

    >>> kind("val/top1"), kind("val_cer"), kind("val/min_dcf"), kind("train loss"), kind("lr-SGD"), kind("epoch")
    ('score', 'error', 'cost', 'loss', 'lr', 'counter')
    """
    if _LR.search(name) and not re.search(r"cycle", name, re.I):
        return "lr"
    if _COUNTER.search(name) or name.startswith("lr/"):
        return "counter"
    for label, pattern in (("loss", _LOSS), ("error", _ERROR), ("cost", _COST), ("score", _SCORE)):
        if pattern.search(name):
            return label
    return "other"


def mode(name: str) -> str:
    """`min` for losses, error rates and costs, `max` for everything else."""
    return "min" if kind(name) in ("loss", "error", "cost") else "max"


def is_accuracy(name: str) -> bool:
    """Whether it is the share of samples whose likeliest class is right."""
    return (
        kind(name) == "score"
        and bool(_ACCURACY.search(name))
        and not re.search(r"top.?([2-9]|\d\d)|@[2-9]", name)
    )


def show(name: str, value: float) -> str:
    """A value as a person reads it: rates in percent.

    >>> show("val/top1", 0.9125), show("val/loss", 0.123456)
    ('91.25 %', '0.1235')
    """
    return f"{100 * value:.2f} %" if is_rate(name) else f"{value:.4g}"


def held_out(name: str) -> bool:
    """True for a validation or test column."""
    return bool(_HELD_OUT.search(name)) and not _TRAIN.search(name)


def training(name: str) -> bool:
    """True for a column that says it is measured on training data."""
    return bool(_TRAIN.search(name))


def is_rate(name: str) -> bool:
    """True for a metric that is a fraction of something: it may have been written in percent."""
    return kind(name) in ("score", "error")


def in_percent(name: str, values: np.ndarray) -> bool:
    """Whether a rate was written in percent: its name says so, or its values can be nothing else.

    The error rate of a transcript may pass 1 (a CER of 110 %), so it has to pass 3 before it is read as percent; no
    other rate can.
    """
    if not is_rate(name):
        return False
    finite = values[np.isfinite(values)]
    ceiling = 3.0 if _TRANSCRIPT.search(name) else 1.0001
    return bool(_PERCENT.search(name)) or bool(finite.size and np.max(finite) > ceiling)


def default_metric(names: list[str]) -> str | None:
    """The column a person would ask about first: a held-out score, then error, then loss, then any split."""

    def rank(name: str) -> tuple[int, int, int]:
        order = {"score": 0, "error": 1, "cost": 2, "loss": 3, "other": 4}[kind(name)]
        return (not held_out(name), order, names.index(name))

    usable = [n for n in names if kind(n) not in ("lr", "counter")]
    return min(usable, key=rank) if usable else None
