"""Checkpoints read as data, tabled and pruned: real files of torch, safetensors and paddle, and hostile ones."""

import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shared.checkpoints.foreign import read_checkpoint
from shared.errors import UserError
from shared.runs.checkpoints.finite import bad_tensors
from shared.runs.checkpoints.prune import carry_out, plan
from shared.runs.checkpoints.table import checkpoint_table

ROOT = Path(__file__).resolve().parents[2]


def network(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 3))


def save(path, epoch, acc=0.5, width=8, poison=None, **extra):
    model = network(width)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 / epoch)
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    if poison is not None:
        with torch.no_grad():
            model[2].weight[0, :2] = poison
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "val_acc": acc}
    torch.save(state | extra, path)
    return model


@pytest.mark.parametrize("new_format", [True, False])
def test_torch_files_are_read_without_torch_loading_them(tmp_path, new_format):
    model = network()
    torch.save({"model": model.state_dict()}, tmp_path / "a.pt", _use_new_zipfile_serialization=new_format)
    found = read_checkpoint(tmp_path / "a.pt")
    assert found.parameters == sum(p.numel() for p in model.parameters())
    for tensor in found.tensors:
        wanted = model.state_dict()[tensor.name.removeprefix("model.")]
        np.testing.assert_array_equal(tensor.data.reshape(tensor.shape), wanted.numpy())


def test_safetensors_and_paddle(tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(
        {"w": torch.ones(3, 2), "h": torch.tensor([1.0, float("nan")]).bfloat16()}, tmp_path / "a.safetensors"
    )
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert {t.name: t.shape for t in found.tensors} == {"w": (3, 2), "h": (2,)}
    assert [b.tensor.name for b in bad_tensors(found)] == ["h"]
    arrays = {"conv.w_0": np.arange(6, dtype=np.float32).reshape(2, 3), "name_map": {"a": "b"}}
    (tmp_path / "m.pdparams").write_bytes(pickle.dumps(arrays, protocol=4))
    (tensor,) = read_checkpoint(tmp_path / "m.pdparams").tensors
    np.testing.assert_array_equal(tensor.data.reshape(2, 3), arrays["conv.w_0"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_number_is_found_and_none_invented(tmp_path, dtype, value):
    good = torch.full((1000,), 60000.0, dtype=dtype)  # its sum overflows half precision
    bad = good.clone()
    bad[777] = value
    torch.save({"good": good, "bad": bad}, tmp_path / "a.pt")
    (found,) = bad_tensors(read_checkpoint(tmp_path / "a.pt"))
    assert (found.tensor.name, found.count) == ("bad", 1)


class Attack:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/trainyard-was-here"),)


def test_nothing_in_a_file_is_ever_executed(tmp_path):
    mark = Path("/tmp/trainyard-was-here")
    mark.unlink(missing_ok=True)
    torch.save({"epoch": 3, "model": network().state_dict(), "callbacks": Attack()}, tmp_path / "a.ckpt")
    found = read_checkpoint(tmp_path / "a.ckpt")
    assert found.values["epoch"] == 3 and found.parameters
    (tmp_path / "b.pdparams").write_bytes(pickle.dumps({"x": Attack()}))
    with pytest.raises(ValueError, match="no tensor"):
        read_checkpoint(tmp_path / "b.pdparams")
    assert not mark.exists()


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"0" * 20_000_000)
    return out.getvalue()


def whole() -> bytes:
    out = io.BytesIO()
    torch.save({"w": torch.randn(5000)}, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pt", b""),
        ("short.pt", b"PK\x03\x04"),
        ("text.ckpt", b"hello, I am no checkpoint" * 9),
        ("cut.pt", whole()[:9000]),
        ("bomb.pt", zip_bomb()),
        ("zip.pt", b"PK\x03\x04" + bytes(500)),
        ("junk.pdparams", b"\x80\x04" + bytes(range(256))),
        ("huge.pth", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"),
        ("cut.safetensors", (10**9).to_bytes(8, "little") + b"{}"),
        ("json.safetensors", (2).to_bytes(8, "little") + b"[]" + bytes(9)),
        (
            "beyond.safetensors",
            (60).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(60),
        ),
        ("recursion.pth", b"\x80\x04" + b"]" * 50_000 + b"."),
    ],
)
def test_hostile_files_are_named_corrupt(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    save(tmp_path / "epoch_1.pt", 1)
    table = checkpoint_table(tmp_path)
    notes = {row.file: row.notes for row in table.rows}
    assert notes[name][0].startswith("corrupt: ")
    assert table.recommendation.startswith("use epoch_1.pt")


def folder_of_runs(tmp_path):
    for epoch in (2, 10, 33, 100):
        save(tmp_path / f"epoch_{epoch}.pt", epoch, acc={33: 0.8}.get(epoch, 0.5))
    save(tmp_path / "epoch_7.pt", 7, acc=0.99, width=4)
    save(tmp_path / "epoch_200.pt", 200, poison=float("nan"))
    return checkpoint_table(tmp_path)


def test_the_table_knows_each_file(tmp_path):
    table = folder_of_runs(tmp_path)
    rows = {row.epoch: row for row in table.rows}
    assert [row.epoch for row in table.rows] == [2, 7, 10, 33, 100, 200]
    assert "best val_acc" in rows[33].notes and "latest" in rows[200].notes
    assert rows[7].notes == ["another model"]
    assert rows[200].finite is False and "model.2.weight (2 of 24 non-finite)" in rows[200].notes[-1]
    assert rows[100].finite and rows[100].lr == pytest.approx(1e-5)
    assert rows[2].parameters == sum(p.numel() for p in network().parameters())
    assert table.recommendation.startswith("use epoch_33.pt")


def test_pruning_spares_the_good_and_the_foreign(tmp_path):
    pruning = plan(folder_of_runs(tmp_path), every=10)
    assert {row.epoch for row, _ in pruning.delete} == {2, 200}
    assert pruning.freed == sum(row.bytes for row, _ in pruning.delete)
    assert carry_out(pruning) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch_10.pt",
        "epoch_100.pt",
        "epoch_33.pt",
        "epoch_7.pt",
    ]


def test_nothing_goes_without_a_good_checkpoint(tmp_path):
    save(tmp_path / "epoch_1.pt", 1, poison=float("inf"))
    save(tmp_path / "epoch_2.pt", 2, poison=float("inf"))
    table = checkpoint_table(tmp_path)
    assert not plan(table).delete
    assert table.recommendation.startswith("no usable checkpoint")


def test_hard_links_free_nothing(tmp_path):
    save(tmp_path / "epoch_1.pt", 1)
    save(tmp_path / "epoch_2.pt", 2, acc=0.9)
    (tmp_path / "best.pt").hardlink_to(tmp_path / "epoch_2.pt")
    table = checkpoint_table(tmp_path)
    assert any("same as" in note for row in table.rows for note in row.notes)
    assert {row.file for row, _ in plan(table).delete} <= {"epoch_1.pt"}


def test_an_empty_folder_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint_table(tmp_path)


def test_reading_needs_no_torch(tmp_path):
    save(tmp_path / "a.pt", 1)
    code = (
        f"import sys, pathlib; from shared.runs.checkpoints.table import checkpoint_table as t; "
        f"t(pathlib.Path({str(tmp_path)!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_network_under_another_prefix_or_suffix_is_the_same(tmp_path):
    state = {"conv.weight": torch.ones(4, 3, 3, 3), "fc.weight": torch.ones(2, 4)}
    for number, prefix in enumerate(["", "module.", "model.", "_orig_mod.module."]):
        content = {prefix + name: tensor for name, tensor in state.items()}
        torch.save({"epoch": number, "state_dict": content}, tmp_path / f"epoch_{number}.pth.tar")
    torch.save({"state_dict": {"fc.weight": torch.ones(3, 4)}}, tmp_path / "other.th")
    torch.save(state, tmp_path / "bare.bin")
    (tmp_path / "sources.tar").write_bytes(b"no checkpoint")
    rows = {row.file: row.notes for row in checkpoint_table(tmp_path).rows}
    assert sorted(rows) == ["bare.bin", *(f"epoch_{n}.pth.tar" for n in range(4)), "other.th"]
    assert [file for file, notes in rows.items() if "another model" in notes] == ["other.th"]
