"""What a run's config alone gives away, whoever's config it is: keys are found by name, at any depth."""

from collections.abc import Iterator
from typing import Any

from shared.runs.diagnosis.finding import Finding
from shared.runs.reading.runlog import RunLog

MAX_KEYS = 20_000


def smells(run: RunLog) -> list[Finding]:
    """Settings that cannot be meant together."""
    config = {}
    for key, value in _flat(run.config):
        config.setdefault(key.rpartition(".")[2].lower(), value)
    text = " ".join(str(value).lower() for key, value in _flat(run.config) if isinstance(value, str))
    checks = (_short_schedule, _speakers, _clipping, _half, _norm_decay)
    messages = [message for check in checks if (message := check(config, text))]
    return [Finding("config_smell", "warning", message, None, str(run.path), []) for message in messages]


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    stack, count = [(path, node)], 0
    while stack and count < MAX_KEYS:
        path, node = stack.pop()
        count += 1
        if isinstance(node, dict):
            stack += [(f"{path}.{key}", value) for key, value in reversed(node.items())]
        elif isinstance(node, list):
            stack += [(f"{path}.{i}", value) for i, value in enumerate(node)]
        else:
            yield path, node


def _number(config: dict, *keys: str) -> float | None:
    found = (config[key] for key in keys if key in config)
    return next((float(v) for v in found if isinstance(v, (int, float)) and not isinstance(v, bool)), None)


def _short_schedule(config: dict, text: str) -> str | None:
    end, epochs = _number(config, "t_max"), _number(config, "max_epochs", "epochs", "num_epochs")
    ours = "shared.policy.schedule." in text  # holds its last rate instead
    if end and epochs and end < epochs and "restart" not in text and not ours:
        return (
            f"schedule t_max={end:g} ends before max_epochs={epochs:g}: torch's cosine rises again after it"
        )
    return None


def _speakers(config: dict, text: str) -> str | None:
    per_class = _number(config, "nperspeaker", "n_per_speaker", "per_class")
    batch = _number(config, "batch_size", "effective_batch_size")
    classes = _number(config, "nclasses", "n_speakers", "num_speakers", "num_classes", "classes")
    if per_class and batch and classes and batch > classes:
        return f"a batch of {batch:g} distinct classes out of {classes:g}: it can never be filled"
    if (
        per_class
        and per_class > 1
        and any(loss in text for loss in ("aam", "amsoftmax", "arcface", "softmax"))
    ):
        margin = "proto" not in text
        return (
            f"{per_class:g} utterances a speaker with a softmax loss: labels must be repeated as often as embeddings"
            if margin
            else None
        )
    return None


def _clipping(config: dict, text: str) -> str | None:
    keys = ("clip_norm", "gradient_clip_val", "grad_clip", "clip_grad_norm", "max_norm", "clip_grad")
    if not any(word in text for word in ("lstm", "gru", "rnn")) and not any("lstm" in k for k in config):
        return None
    if not any(key in config for key in keys) or any(config.get(key) for key in keys):
        return None
    return "a recurrent network without gradient clipping: set clip_norm=1.0"


def _half(config: dict, text: str) -> str | None:
    precision = str(config.get("precision", config.get("dtype", ""))).lower()
    if precision in ("16-true", "fp16", "float16", "half") and not config.get(
        "scaler", config.get("grad_scaler")
    ):
        return (
            f"precision={precision} without a gradient scaler: small gradients vanish; use bf16 or 16-mixed"
        )
    return None


def _norm_decay(config: dict, text: str) -> str | None:
    """Only where the config itself says that norms are decayed."""
    key = next(
        (
            k
            for k in ("decay_norm", "norm_weight_decay", "weight_decay_norm", "bn_weight_decay")
            if config.get(k)
        ),
        None,
    )
    return f"{key}={config[key]}: weight decay on normalisation layers costs accuracy" if key else None
