"""One scripted metric on one framework: python scripted.py lightning|paddle FOLDER -> its decisions as JSON."""

import csv
import json
import sys
from functools import partial
from pathlib import Path

from shared.callbacks.early_stopping import EarlyStopping
from shared.policy.schedule import CosineRestarts
from shared.record.folder import RunFolder

VALUES = [
    0.9,
    0.7,
    0.5,
    0.45,
    0.8,
    0.6,
    0.5,
    0.44,
    0.9,
    0.8,
    0.7,
    0.6,
    0.9,
    0.8,
    0.7,
    0.6,
    0.9,
    0.9,
    0.9,
    0.9,
]
EPOCHS, SPOILED = len(VALUES), 7  # one poisoned sample, which comes once an epoch


def patience() -> EarlyStopping:
    return EarlyStopping(patience=6)


def lightning(folder: Path) -> None:
    from tests.fit.small_run import Points, Regression, fit, network

    class Scripted(Regression):
        def validation_step(self, batch, batch_idx):
            self.log("val/loss", float(VALUES[self.current_epoch]))

    fit(
        folder,
        task=Scripted(network()),
        data=Points([SPOILED]),
        epochs=EPOCHS,
        callbacks=[patience()],
        **SETTINGS,
    )


def paddle(folder: Path) -> None:
    from tests.paddle.paddle_run import Points, Regression, fit, network

    task = Regression(network())
    task.scripted = VALUES
    fit(folder, task=task, data=Points([SPOILED]), epochs=EPOCHS, callbacks=[patience()], **SETTINGS)


SETTINGS = {"schedule": partial(CosineRestarts, t_0=4)}


def decisions(folder: Path) -> dict:
    """Events but for those that follow from initial weights, LRs by step, epochs of the checkpoints by role."""
    events = RunFolder(folder).events.read()
    found = [(e["kind"], e["epoch"], e["step"]) for e in events if not e["kind"].endswith("_spike")]
    with (folder / "metrics.csv").open(newline="") as file:
        rates = [(row["step"], row["epoch"], row["lr"], row["lr/cycle"]) for row in csv.DictReader(file)]
    return {"events": found, "rates": rates, "roles": roles(folder)}


def roles(folder: Path) -> dict[str, tuple[int, float | None]]:
    from shared.checkpoints.file import read

    saved = read(folder / "checkpoints/last.ckpt")["callbacks"]["Checkpoints"]["records"]
    return {
        role: (record["epoch"], record["metric"] and round(record["metric"], 6))
        for role, record in saved.items()
    }


if __name__ == "__main__":
    place = Path(sys.argv[2])
    {"lightning": lightning, "paddle": paddle}[sys.argv[1]](place)
    print(json.dumps(decisions(place)))
