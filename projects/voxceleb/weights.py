"""Where the embedder lies in the state dict of a checkpoint."""

from typing import Any

from torch import Tensor

# Data-parallel training, clovaai/voxceleb_trainer, this project.
PREFIXES = ("module.", "__S__.", "model.embedder.")


def embedder_state(state: dict[str, Any]) -> dict[str, Tensor]:
    """The network's tensors, under their published names, from any of the layouts above; loss heads are left out."""
    state = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        inside = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        state = inside or state
    return state
