"""Which checkpoint a run goes on from first, in a folder that was copied: file times tell nothing there."""

import os

import numpy as np
import pytest
import torch

from shared.checkpoints import arrays
from shared.checkpoints.file import KEY, candidates, in_folder
from shared.checkpoints.resume import newest
from shared.record.folder import RunFolder

STEPS = {"best": 30, "cycle-1-best": 10, "cycle-2-best": 30, "epoch-9": 90, "last": 80, "previous": 70}


def write(folder, steps, save=torch.save):
    folder.mkdir(parents=True, exist_ok=True)
    for name, step in steps.items():
        save({"state_dict": {"weight": torch.ones(2)}, KEY: {"step": step}}, folder / f"{name}.ckpt")


def order(folder):
    return [path.stem for path in candidates(folder)]


@pytest.mark.parametrize("times", ["equal", "by name", "oldest first", "newest first"])
def test_the_order_does_not_depend_on_file_times(tmp_path, times):
    """last and previous go first whatever their step: a run that was extended may have begun at an earlier one."""
    write(tmp_path, STEPS)
    ways = {"equal": lambda name: 0, "by name": sorted(STEPS).index}
    ways |= {"oldest first": lambda name: STEPS[name], "newest first": lambda name: -STEPS[name]}
    for name in STEPS:
        moment = 1_000_000 + ways[times](name)
        os.utime(tmp_path / f"{name}.ckpt", (moment, moment))

    found = order(tmp_path)
    assert found[:3] == ["last", "previous", "epoch-9"] and found[-1] == "cycle-1-best"
    assert set(found[3:5]) == {"best", "cycle-2-best"}


def test_a_file_of_several_names_comes_once_and_hidden_ones_never(tmp_path):
    write(tmp_path, {"last": 80, "epoch-9": 90, ".writing": 99})
    os.link(tmp_path / "last.ckpt", tmp_path / "best.ckpt")
    assert order(tmp_path) == ["last", "epoch-9"]


def test_what_tells_no_step_comes_last(tmp_path):
    write(tmp_path, {"a": 1, "z": 2})
    (tmp_path / "broken.ckpt").write_bytes(b"PK\3\4 cut short")
    torch.save({"state_dict": {}}, tmp_path / "weights.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    assert order(tmp_path)[:2] == ["z", "a"] and len(order(tmp_path)) == 5


def test_a_paddle_run_is_read_alike(tmp_path):
    content = {"state_dict": {"weight": np.ones(2)}}
    for name, step in (("best", 5), ("cycle-1-best", 9)):
        with (tmp_path / f"{name}.ckpt").open("wb") as file:
            arrays.save({**content, KEY: {"step": step}}, file)
    assert order(tmp_path) == ["cycle-1-best", "best"]


def test_without_last_and_previous_a_run_goes_on_from_its_furthest_checkpoint(tmp_path):
    folder = RunFolder(tmp_path / "run")
    write(folder.checkpoints, {"best": 10, "cycle-1-best": 20, "last": 30})
    (folder.checkpoints / "last.ckpt").write_bytes(b"cut short")
    os.utime(folder.checkpoints / "best.ckpt")  # copied last
    assert newest(folder).name == "cycle-1-best.ckpt"
    assert in_folder(folder.path).name == "best.ckpt"
