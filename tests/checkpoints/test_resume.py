"""resume and resume_mode: nothing is overruled in silence, nothing good is lost."""

import shutil

import pytest
import torch

from projects.imagenet_resnet.task import Classification
from shared.config.root import ROOT
from shared.policy.schedule import CosineRestarts
from shared.record.folder import RunFolder
from shared.runs import ledger


@pytest.fixture(scope="session")
def finished(train):
    """Four epochs of cosines of two: checkpoints last, previous, best and the bests of two cycles."""
    return train(None, *RESTARTS, "trainer.max_epochs=4")


RESTARTS = ("schedule=cosine_restarts", "schedule.t_0=2")


@pytest.fixture
def again(finished, train, tmp_path):
    """Run on in a copy of the finished run's folder, with further overrides."""

    def run(*overrides: str):
        folder = tmp_path / "run"
        if not folder.exists():
            shutil.copytree(finished.folder, folder)
        return train(folder, *RESTARTS, *(overrides or ("trainer.max_epochs=4",)))

    return run


def test_a_completed_run_is_left_as_it_is(again, finished):
    ended = again()
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert "nothing left to train" in ended.said and "batch 1" not in ended.said
    assert ended.rows == finished.rows
    for part in ("monitor", "epochs", "steps", "restarts", "samples_per_second"):
        assert ended.summary[part] == finished.summary[part]
    assert set(ended.summary["checkpoints"]) == set(finished.summary["checkpoints"])


def test_while_it_trains_on_a_run_has_no_result(train, interrupt, monkeypatch):
    """The tools would show it as interrupted, and after a SIGKILL the first session's numbers as its own."""
    interrupt("training_step", 3)
    cut = train(None)
    assert cut.summary["status"] == "interrupted"
    seen, step = [], Classification.training_step

    def look(self, *arguments):
        seen.append((cut.folder / "summary.json").exists())
        return step(self, *arguments)

    monkeypatch.setattr(Classification, "training_step", look)
    assert train(cut.folder).summary["status"] == "completed"
    assert seen and not any(seen)


@pytest.mark.parametrize(("before", "least"), [(7200.0, 7200), (None, 0)])
def test_the_time_of_all_sessions_is_counted_as_their_epochs_are(train, interrupt, before, least):
    interrupt("training_step", 8)
    cut = train(None)
    saved = cut.state()
    assert 0 < saved["trainyard"]["seconds"] <= cut.summary["seconds"] + 0.1
    if before is None:  # a checkpoint from before this was kept
        del saved["trainyard"]["seconds"]
    else:
        saved["trainyard"]["seconds"] = before
    torch.save(saved, cut.folder / "checkpoints/last.ckpt")
    for ended in (train(cut.folder), train(cut.folder)):  # the second finds nothing left to train
        assert ended.summary["status"] == "completed" and ended.summary["epochs"] == 3
        assert least < ended.summary["seconds"] < least + 600
        assert least < ended.state()["trainyard"]["seconds"] < least + 600
    afresh = train(None, f"resume={cut.folder}", "resume_mode=weights", "trainer.max_epochs=1")
    assert 0 < afresh.summary["seconds"] < 600


def test_a_completed_runs_result_is_there_all_the_time(again, monkeypatch):
    removed = []
    monkeypatch.setattr(RunFolder, "remove_summary", removed.append)
    assert again().summary["status"] == "completed" and not removed


def test_an_early_stopped_run_stays_stopped(train):
    stops = ("callbacks.early_stopping.patience=1", "optimizer.lr=1e-9", "trainer.max_epochs=9")
    stopped = train(None, *stops)
    assert stopped.summary["status"] == "early_stopped" and stopped.summary["epochs"] < 9
    resumed = train(stopped.folder, *stops)
    assert (
        resumed.summary["status"] == "early_stopped" and resumed.summary["steps"] == stopped.summary["steps"]
    )
    longer = train(stopped.folder, *stops[1:], "callbacks.early_stopping.patience=20", "resume_mode=extend")
    assert longer.summary["status"] == "completed" and longer.summary["epochs"] == 9


def test_exact_names_every_setting_that_differs(again):
    elsewhere = ("logger=tensorboard", "trainer.log_every_n_steps=2", "evaluation=['seed=1']")
    ended = again("trainer.max_epochs=8", "optimizer.lr=0.05", *elsewhere)
    assert ended.code == 2
    error = ended.said.splitlines()[-1]
    assert "optimizer.lr 0.1 -> 0.05; trainer.max_epochs 4 -> 8 (resume_mode=exact)" in error
    assert "resume_mode=extend" in error and "log_every" not in error and "evaluation" not in error
    kept = (ended.folder / "config.yaml").read_text()
    assert "max_epochs: 4" in kept and (ended.folder / "checkpoints/last.ckpt").exists()


@pytest.mark.parametrize("wrong", ["clip_norm=-1", "trainer.max_epochs=20"])
def test_a_refused_command_leaves_the_result_as_it_is(again, finished, monkeypatch, tmp_path, wrong):
    monkeypatch.setenv("TRAINYARD_LEDGER", str(tmp_path / "ledger.jsonl"))
    ended = again("trainer.max_epochs=4", wrong)
    assert ended.code == 2 and ended.summary == finished.summary
    assert "end" not in [entry["kind"] for entry in ledger.entries()]


def test_extend_obeys_the_config_and_keeps_the_counters(again, finished):
    """Stock Lightning would go on with t_0 = 2, LR 0.1 and the old weight decay."""
    new = ("schedule.t_0=20", "optimizer.lr=0.4", "optimizer.weight_decay=0.01", "optimizer.momentum=0.5")
    ended = again("resume_mode=extend", "trainer.max_epochs=14", *new, "callbacks.early_stopping.patience=40")
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    plan = CosineRestarts(peak=0.4, epochs=14, steps_per_epoch=5, t_0=20)
    rows = [row for row in ended.rows if row["step/loss"]]
    assert [int(row["step"]) for row in rows] == list(range(1, 71))
    used = [float(row["lr"]) for row in rows[20:]]
    assert used == pytest.approx([plan.lr(step) for step in range(20, 70)], rel=1e-9)
    assert ended.rows[: len(finished.rows)] == finished.rows
    assert ended.summary["restarts"] == finished.summary["restarts"] != []
    groups = ended.state()["optimizer_states"][0]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0] and groups[0]["momentum"] == 0.5
    assert "schedule.t_0" in ended.said and "learning rates to come" in ended.said
    (changed,) = [event for event in ended.summary["events"] if event["kind"] == "extended"]
    assert changed["lr_of_epochs"]["5"] == pytest.approx(plan.lr(20))
    (jump,) = ended.events("lr_jump")
    assert "expect the metric to fall" in jump


def test_extend_may_change_the_batch_in_the_middle_of_an_epoch(train, interrupt):
    interrupt("training_step", 8)
    broken = train(None)
    assert broken.state()["trainyard"]["batch"] == 3
    ended = train(broken.folder, "resume_mode=extend", "effective_batch_size=32")
    assert ended.summary["status"] == "completed" and ended.summary["steps"] == 3 * 10
    steps = [int(row["step"]) for row in ended.rows if row["step/loss"]]
    assert steps == [*range(1, 9), *range(10 + 6 + 1, 31)]


def test_extend_refuses_moments_of_another_optimizer(again):
    ended = again("resume_mode=extend", "optimizer._target_=torch.optim.RMSprop", "trainer.max_epochs=8")
    assert ended.code == 2 and "resume_mode=weights" in ended.said.splitlines()[-1]


def test_weights_mode_takes_the_weights_and_nothing_else(again, finished):
    ended = again("resume_mode=weights", "trainer.max_epochs=1", "optimizer.lr=1e-12")
    assert ended.summary["status"] == "completed" and ended.summary["epochs"] == 1
    assert ended.rows[0]["step"] == "1"
    before, after = finished.state()["state_dict"], ended.state()["state_dict"]
    assert all(before[name].equal(after[name]) for name in before if name.endswith("weight"))
    kept = ended.folder / "earlier-1"
    assert (kept / "checkpoints/last.ckpt").read_bytes() == (
        finished.folder / "checkpoints/last.ckpt"
    ).read_bytes()
    assert (kept / "metrics.csv").read_bytes() == (finished.folder / "metrics.csv").read_bytes()


def test_of_averaged_weights_the_average_is_taken(train):
    averaged = train(None, "callbacks=ema", "trainer.max_epochs=1").folder / "checkpoints/best.ckpt"
    settings = (f"resume={averaged}", "resume_mode=weights", "trainer.max_epochs=1", "optimizer.lr=1e-12")
    after = train(None, *settings).state()["state_dict"]
    before = torch.load(averaged, weights_only=True)
    moved = [name for name in before["ema"] if name.endswith("weight")]
    assert all(torch.allclose(after[f"model.{name}"], before["ema"][name]) for name in moved)
    assert not all(
        torch.allclose(after[f"model.{name}"], before["state_dict"][f"model.{name}"]) for name in moved
    )


def test_bare_weights_are_taken_as_the_error_says(finished, train, tmp_path):
    weights = {name.removeprefix("model."): each for name, each in finished.state()["state_dict"].items()}
    torch.save(weights, path := tmp_path / "weights.pth")
    settings = [*RESTARTS, "trainer.max_epochs=1", "optimizer.lr=1e-12", f"resume={path}"]
    refused = train(None, *settings)
    assert refused.code == 2 and "take them with resume_mode=weights" in refused.said.splitlines()[-1]
    ended = train(None, *settings, "resume_mode=weights")
    assert ended.summary["status"] == "completed" and ended.summary["resumed_from"] == str(path)
    after = ended.state()["state_dict"]
    assert all(weights[name].equal(after[f"model.{name}"]) for name in weights if name.endswith("weight"))


def test_never_starts_afresh_and_keeps_what_was_there(again, finished):
    ended = again("resume=never", "trainer.max_epochs=4")
    assert ended.weights() == finished.weights() and ended.rows == finished.rows
    assert (ended.folder / "earlier-1/checkpoints/best.ckpt").exists()
    assert (ended.folder / "run_id").read_text() != (finished.folder / "run_id").read_text()


def test_a_path_continues_another_run_in_a_folder_of_its_own(finished, train):
    path = finished.folder / "checkpoints/cycle-1-best.ckpt"
    ended = train(None, *RESTARTS, "trainer.max_epochs=4", f"resume={path}")
    assert ended.rows == finished.rows and ended.weights() == finished.weights()
    assert ended.summary["resumed_from"] == str(path)
    for role in ended.summary["checkpoints"]:
        assert ended.state(role)["epoch"] == finished.state(role)["epoch"]


@pytest.mark.parametrize("mode", ["exact", "extend", "weights"])
@pytest.mark.parametrize("own", [False, True])
def test_the_same_command_with_a_path_goes_on_from_its_own_progress(
    finished, train, interrupt, monkeypatch, tmp_path, mode, own
):
    """However often it is requeued, be PATH in another folder or in its own, and on a new machine too."""
    other = shutil.copytree(finished.folder, tmp_path / "other")
    path = other / "checkpoints/cycle-1-best.ckpt"
    run, begins = other if own else tmp_path / "run", 0 if mode == "weights" else step(path)
    settings = [*RESTARTS, "trainer.max_epochs=4", f"resume={path}", f"resume_mode={mode}"]
    settings += [f"backup.url={tmp_path / 'place'}"]
    for number in (1, 2):
        interrupt("training_step", 3)
        cut = train(run, *settings)
        monkeypatch.undo()
        assert cut.code == 143 and step(run / "checkpoints/last.ckpt") == begins + 3 * number
        assert ("goes on from where it is" in cut.said) == (number == 2)
    ended = train(run, *settings)
    assert (ended.code, ended.summary["steps"]) == (0, 20)
    assert len(list(run.glob("earlier-*"))) == own
    run.rename(tmp_path / "lost")
    if not own:
        moved = train(run, *settings)
        assert moved.events("restored") and moved.weights() == ended.weights()


def test_other_settings_with_a_path_begin_there_again(finished, train, tmp_path):
    settings = [*RESTARTS, f"resume={finished.folder}", "resume_mode=weights", "trainer.max_epochs=1"]
    train(tmp_path / "run", *settings)
    again = train(tmp_path / "run", *settings, "seed=7")
    assert again.code == 0 and (again.folder / "earlier-1/checkpoints/last.ckpt").exists()
    assert again.summary["resumed_from"] == str(finished.folder / "checkpoints/last.ckpt")


def step(path):
    return torch.load(path, weights_only=True)["global_step"]


@pytest.mark.parametrize("resume", ["/nowhere.ckpt", "{folder}/config.yaml"])
def test_a_path_that_is_no_checkpoint_is_named(finished, train, resume):
    ended = train(None, f"resume={resume.format(folder=finished.folder)}")
    assert ended.code == 2 and ended.said.splitlines()[-1].startswith("error: ")
    assert "(resume):" in ended.said.splitlines()[-1]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_newest_checkpoint_is_passed_over(again, finished, damage, train, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    damage(folder / "checkpoints/last.ckpt")
    ended = again()
    assert ended.code == 0 and ended.rows == finished.rows and ended.weights() == finished.weights()
    (damaged,) = ended.events("checkpoint_damaged")
    assert "last.ckpt is damaged" in damaged
    assert (folder / "checkpoints/last.ckpt.damaged").exists()


def test_all_damaged_starts_afresh_and_deletes_nothing(again, finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    names = {path.name for path in (folder / "checkpoints").glob("*.ckpt")}
    for name in names:
        cut(folder / "checkpoints" / name)
    ended = again()
    assert ended.rows == finished.rows and ended.weights() == finished.weights()
    kept = {path.name for path in (folder / "earlier-1/checkpoints").iterdir()}
    assert kept == {f"{name}.damaged" for name in names}


def test_roles_are_healed_after_a_crash_between_a_save_and_its_links(again, finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run") / "checkpoints"
    best = finished.state("best")["epoch"]
    (folder / "best.ckpt").unlink()
    shutil.copy(folder / "previous.ckpt", folder / "cycle-2-best.ckpt")  # stale
    (folder / ".writing.ckpt").write_bytes(b"half")
    (folder / ".best.ckpt.tmp").write_bytes(b"half")
    ended = again()
    assert ended.state("best")["epoch"] == best
    assert ended.state("cycle-2-best")["epoch"] == finished.state("cycle-2-best")["epoch"]
    assert not list(folder.glob(".*"))


def test_other_data_are_refused(train, tmp_path):
    data = shutil.copytree(ROOT / "data/digits", tmp_path / "digits")
    place = (f"data.root={data}", "data.generate=null", "trainer.max_epochs=1")
    ended = train(None, *place)
    next((data / "train/0").iterdir()).unlink()
    ended = train(ended.folder, *place)
    assert ended.code == 2
    assert "the data have 1436 samples, not 1437 as before (data)" in ended.said.splitlines()[-1]
