"""One checkpoint file: read, checked, its weights put into a network."""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

from shared.checkpoints import arrays
from shared.errors import UserError

log = logging.getLogger(__name__)

KEY = "trainyard"
"""Our part of a checkpoint; callbacks.run_state writes it."""


UNREADABLE = (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError)
"""What `read` raises for files that are no checkpoints, or not safe to load."""


def candidates(folder: Path) -> list[Path]:
    """Checkpoints of a folder, newest first, each file once however many names it has.

    Going by their names and the step that is in them: a copy of a folder seldom keeps the files' times.
    """
    names = sorted(path for path in folder.glob("*.ckpt") if not path.name.startswith("."))
    order = {"last.ckpt": 0, "previous.ckpt": 1}
    names.sort(key=lambda path: order.get(path.name, 2))
    files: dict[tuple[int, int], Path] = {}
    for path in names:
        files.setdefault((path.stat().st_dev, path.stat().st_ino), path)

    newest = [path for path in files.values() if path.name in order]
    others = [path for path in files.values() if path.name not in order]
    return newest + sorted(others, key=lambda path: (_step(path), path.stat().st_mtime_ns), reverse=True)


def _step(path: Path) -> int:
    """The step at which a checkpoint was written; -1 for a file that does not tell."""
    try:
        return int(read(path)[KEY]["step"])
    except (OSError, TypeError, *UNREADABLE):
        return -1


def in_folder(folder: Path) -> Path:
    """The best checkpoint of a run folder, else its newest; the folder itself where it holds none."""
    found = candidates(folder / "checkpoints") or candidates(folder)
    return next(
        (path.with_name("best.ckpt") for path in found[:1] if path.with_name("best.ckpt").exists()), None
    ) or (found[0] if found else folder)


def broken(path: Path) -> str | None:
    """Why the checkpoint cannot be trusted, by the checksums inside it; None if every byte of its data is intact."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            read(path)
    except (OSError, NotImplementedError, *UNREADABLE) as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return f"checksum of {damaged} differs" if damaged else None


def read(path: Path) -> dict[str, Any]:
    """The content of either framework's checkpoint; raises one of UNREADABLE if it is none.

    torch's tensors are mapped from the file.
    """
    if arrays.holds_arrays(path):
        return arrays.load(path)
    import torch  # here, for Paddle's runs go without it

    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict):
        raise ValueError("no checkpoint")
    return content


def load_weights(task: Any, path: Path) -> None:
    """Copy a checkpoint's weights, or a bare state dict of its network, into a task, and nothing else of it.

    Of averaged weights, the average: what was validated, what made `best.ckpt` the best, what `evaluate.py` takes.
    """
    content = read(path)
    state = content["state_dict"] if "state_dict" in content else in_task(task, content)
    state = state | in_task(task, content.get("ema", {}))
    fit(task, {"state_dict": state})
    task.load_state_dict(state)
    log.info("resume: weights of %s, all else afresh", path)


def in_task(task: Any, network: dict[str, Any]) -> dict[str, Any]:
    """A network's tensors as its task names them: Lightning's names begin with `model.`, Paddle's are the network's."""
    prefix = "" if network.keys() & task.state_dict().keys() else "model."
    return {f"{prefix}{name}": tensor for name, tensor in network.items()}


def fit(task: Any, content: dict[str, Any]) -> None:
    """Raise UserError if a checkpoint's weights are not those of this task's network."""
    given, expected = content.get("state_dict", {}), task.state_dict()
    both = given.keys() & expected.keys()
    odd = {key for key in both if tuple(given[key].shape) != tuple(expected[key].shape)}
    odd |= given.keys() ^ expected.keys()
    if odd:
        what = f"the checkpoint holds another network: {len(odd)} tensors differ, such as {min(odd)}"
        raise UserError(what, "model", "use the model and data settings it was made with")
