"""What a user did wrong: one `error:` line that names the key or file, exit code 2, never a traceback."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from shared.command.cli import evaluate, train
from tests.conftest import ROOT, TINY


def refused(outcome, *words):
    lines = outcome.err.strip().splitlines()
    assert outcome.code == 2, outcome
    assert len(lines) == 1 and lines[0].startswith("error: "), outcome.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.max_epochs=-1", ["trainer.max_epochs", "-1", "from 1"]),
        ("trainer.max_epoch=3", ["unknown override", "did you mean trainer.max_epochs"]),
        ("no_such_key=1", ["unknown override", "no_such_key"]),
        ("data.augment={Blur: {p: 1}}", ["unknown override", "+data.augment=... adds to it"]),
        ("schedule=cosin", ["there is no schedule 'cosin'", "cosine_restarts"]),
        ("hardware=tpu", ["there is no hardware 'tpu'", "rtx5090"]),
        ("seed=abc", ["seed", "whole number"]),
        ("optimizer.lr=0", ["optimizer.lr", "above 0"]),
        ("effective_batch_size=5000", ["effective_batch_size", "1437"]),
        ("schedule.warmup_epochs=-1", ["warmup_epochs", "schedule"]),
        ("optimizer.momentum=-1", ["momentum", "optimizer"]),
        ("model.depth=51", ["model.depth", "101"]),
        ("model.weights=/nowhere.pth", ["model.weights", "/nowhere.pth"]),
        ("micro_batch_size=0", ["micro_batch_size"]),
        ("micro_batch_size=999", ["micro_batch_size"]),
        ("monitor.name=val/nothing", ["monitor.name", "val/top1"]),
        ("resume=/nowhere.ckpt", ["resume", "/nowhere.ckpt"]),
        ("hardware=a100", ["hardware"]),
        ("trainer.max_epochs=[", ["trainer.max_epochs"]),
        ("trainer.limit_train_batches=0", ["steps_per_epoch", "trainer.limit_train_batches"]),
        ("callbacks.early_stopping.patience=0", ["patience", "callbacks.early_stopping"]),
        ("run_dir=/dev/null/run", ["run_dir", "/dev/null/run"]),
        ("data.train_size=0", ["data.train_size"]),
    ],
)
def test_wrong_settings(tiny, override, words):
    refused(tiny("model.depth=18", override), *words)


@pytest.mark.parametrize(
    "words",
    [
        ["data.root=sftp://me:hush@nas/images"],
        ["backup.url=simplecache::sftp://me:hush@nas/images"],
        ["-m", "data.root=data/digits,s3://me:hush@bucket"],
        ["+extra={places: ['sftp://me:hush@nas/images']}"],
    ],
)
def test_a_password_in_a_url_reaches_no_file(tiny, tmp_path, words):
    refused(outcome := tiny(*words), "password", "FSSPEC_SFTP_PASSWORD", words[-1].partition("=")[0])
    assert "hush" not in outcome.out + outcome.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["data.root", "note"])
def test_a_password_that_the_environment_holds_reaches_no_file_either(tiny, tmp_path, monkeypatch, key):
    monkeypatch.setenv("PLACE", "sftp://me:hush@nas/images")
    monkeypatch.setenv("TRAINYARD_LEDGER", str(tmp_path / "run" / "ledger.jsonl"))
    refused(outcome := tiny(f"{key}=${{oc.env:PLACE}}"), "password", key)
    assert "hush" not in outcome.out + outcome.err
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"hush" in path.read_bytes()]


def test_evaluate_prints_no_password(command):
    outcome = command(evaluate, "imagenet_resnet", "checkpoint=x", "data.root=sftp://me:hush@nas/images")
    refused(outcome, "data.root", "password")
    assert "hush" not in outcome.err


def photo(path, mode="RGB", kind="JPEG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 255, (24, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, kind)


@pytest.fixture
def photos(tmp_path):
    """An image folder of two classes with 16 training and 4 validation photos."""
    root = tmp_path / "photos"
    for split, count in (("train", 8), ("val", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                photo(root / split / name / f"{number}.jpg")
    return root


def on(photos, tiny, *overrides):
    return tiny(
        "data=imagenet", f"data.root={photos}", "effective_batch_size=8", "trainer.max_epochs=1", *overrides
    )


def test_data_root_pointing_nowhere(tiny):
    refused(tiny("data=imagenet", "data.root=/nowhere"), "data.root", "/nowhere")


def test_data_root_missing(tiny):
    refused(tiny("data=imagenet"), "data.root")


def test_empty_class_folder(photos, tiny):
    (photos / "train" / "eel").mkdir()
    (photos / "val" / "eel").mkdir()
    refused(on(photos, tiny), "eel")


def test_a_zero_byte_file_is_skipped_by_name_up_to_a_limit(photos, tiny):
    bad = photos / "train" / "cat" / "0.jpg"
    bad.write_bytes(b"")
    outcome = on(photos, tiny, "trainer.limit_train_batches=1.0")
    assert outcome.code == 0 and str(bad) in outcome.out
    refused(
        on(photos, tiny, "data.max_corrupt=0", "resume=never", "trainer.limit_train_batches=1.0"),
        str(bad),
        "data.max_corrupt",
    )


def test_a_truncated_jpeg_is_skipped_by_name(photos, tiny):
    bad = photos / "train" / "dog" / "3.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    outcome = on(photos, tiny, "trainer.limit_train_batches=1.0", "hardware.workers=2")
    assert outcome.code == 0 and str(bad) in outcome.out


def test_odd_but_readable_images(photos, tiny):
    photo(photos / "train" / "cat" / "png.jpg", kind="PNG")
    photo(photos / "train" / "cat" / "cmyk.jpg", mode="CMYK")
    photo(photos / "train" / "dog" / "grey.jpg", mode="L")
    outcome = on(photos, tiny, "data.max_corrupt=0", "trainer.limit_train_batches=1.0")
    assert outcome.code == 0, outcome.err


def test_evaluate_repeats_the_validation(tiny, command):
    outcome = tiny("trainer.limit_val_batches=1.0")
    scored = command(evaluate, "imagenet_resnet", f"checkpoint={outcome.summary['checkpoints']['last']}")
    import json

    found = json.loads(scored.out.splitlines()[-1])
    assert found["samples"] == 360
    assert found["val/top1"] == pytest.approx(outcome.summary["monitor"]["last"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["checkpoint=/nowhere.ckpt"], ["checkpoint", "/nowhere.ckpt"]),
        (["checkpoint=x", "split=dev"], ["split", "dev"]),
    ],
)
def test_evaluate_refuses(command, arguments, words):
    refused(command(evaluate, "imagenet_resnet", *arguments), *words)


def test_evaluate_builds_nothing_that_a_foreign_checkpoint_names(tiny, command, tmp_path):
    last = tiny("trainer.max_epochs=1").summary["checkpoints"]["last"]
    foreign = torch.load(last, weights_only=True)
    foreign["trainyard"]["config"]["data"]["generate"]["_target_"] = "os.system"
    torch.save(foreign, tmp_path / "foreign.ckpt")
    refused(command(evaluate, "imagenet_resnet", f"checkpoint={tmp_path / 'foreign.ckpt'}"), "os.system")


def test_evaluate_takes_one_process_however_many_have_trained(tiny, command, tmp_path):
    last = tiny("trainer.max_epochs=1").summary["checkpoints"]["last"]
    many = torch.load(last, weights_only=True)
    many["trainyard"]["config"]["trainer"] |= {
        "devices": 2,
        "strategy": {"_target_": "shared.lightning.fsdp.FSDP"},
    }
    torch.save(many, tmp_path / "many.ckpt")
    scored = command(evaluate, "imagenet_resnet", f"checkpoint={tmp_path / 'many.ckpt'}")
    assert scored.code == 0 and '"samples": 360' in scored.out.splitlines()[-1]


def test_help_and_config_come_without_heavy_imports():
    code = (
        "import sys; sys.argv = ['train.py', '--help']\n"
        "sys.path.insert(0, {root!r})\n"
        "from shared.command.cli import train\n"
        "try: train({file!r})\n"
        "except SystemExit: pass\n"
        "heavy = {{'torch', 'lightning', 'albumentations', 'cv2', 'paddle', 'numpy', 'wandb', 'sklearn'}}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    ).format(root=str(ROOT), file=str(ROOT / "projects/imagenet_resnet/train.py"))
    for flag in ("'--help'", "'--cfg', 'job'"):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("'--help'", flag)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "trainer" in done.stdout


def test_a_sweep_runs_each_job_and_ends_with_a_table(command, tmp_path):
    sweep = ["-m", "seed=1,2", "schedule=cosine,one_cycle", f"run_dir={tmp_path}"]
    outcome = command(train, "imagenet_resnet", *TINY, *sweep, "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.err
    assert len(list(tmp_path.glob("job_*/summary.json"))) == 4
    table = (tmp_path / "sweep.csv").read_text().splitlines()
    assert len(table) == 5 and "best" in table[0]
    assert "sweep: best val/top1" in outcome.out


def test_a_failing_job_does_not_end_the_sweep(command, tmp_path):
    sweep = ["-m", "model.depth=18,51", f"run_dir={tmp_path}"]
    outcome = command(train, "imagenet_resnet", *TINY, *sweep, "trainer.max_epochs=1")
    assert outcome.code == 1
    table = (tmp_path / "sweep.csv").read_text()
    assert "completed" in table and "failed" in table
    assert "model.depth" in outcome.err
