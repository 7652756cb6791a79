"""Names of earlier versions that configs in checkpoints and run folders still hold, and what they are called now."""

from typing import Any

# Modules that a `_target_` may name, as they were called before they moved.
MOVED = {
    "shared.callbacks.checkpoints": "shared.lightning.callbacks.checkpoints",
    "shared.callbacks.ema": "shared.lightning.callbacks.ema",
    "shared.callbacks.non_finite": "shared.lightning.callbacks.non_finite",
    "shared.callbacks.poison": "shared.lightning.callbacks.poison",
    "shared.callbacks.progressive_resizing": "shared.lightning.callbacks.progressive_resizing",
    "shared.callbacks.run_state": "shared.lightning.callbacks.run_state",
    "shared.fsdp": "shared.lightning.fsdp",
    "shared.loggers": "shared.lightning.loggers",
    "shared.ocr.readings": "shared.ocr.reading.readings",
    "projects.thai_ocr.official": "projects.thai_ocr.published.ppocrv5",
    "projects.thai_ocr.svtr": "projects.thai_ocr.published.svtr",
    "projects.video_lstm.cache": "projects.video_lstm.videos.cache",
    "projects.video_lstm.motions": "projects.video_lstm.videos.motions",
    "projects.voxceleb.augment": "projects.voxceleb.audio.augment",
    "projects.voxceleb.espeak": "projects.voxceleb.generated.espeak",
    "projects.voxceleb.mels": "projects.voxceleb.audio.mels",
    "projects.voxceleb.protocol": "projects.voxceleb.trials.protocol",
    "projects.voxceleb.speech": "projects.voxceleb.generated.speech",
}

# Settings that came later, and the value with which a run trains as it did without them.
ADDED = {"data.changed_faces": 0.0}


def current_name(target: str) -> str:
    """A `_target_` as it is called now.

    >>> current_name("shared.callbacks.non_finite.NonFinite")
    'shared.lightning.callbacks.non_finite.NonFinite'
    >>> current_name("shared.policy.schedule.Cosine")
    'shared.policy.schedule.Cosine'
    """
    module, _, name = target.rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else target


def with_current_names(node: Any) -> Any:
    """Nested dicts and lists with every `_target_` as it is called now; interpolations must be resolved."""
    if isinstance(node, dict):
        return {
            key: current_name(value)
            if key == "_target_" and isinstance(value, str)
            else with_current_names(value)
            for key, value in node.items()
        }
    return [with_current_names(each) for each in node] if isinstance(node, list) else node
