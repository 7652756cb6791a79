"""The tools as commands: help that teaches, JSON that parses, and malformed input that ends in one clear line."""

import importlib.util
import io
import json
import math
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TABLES = Path(__file__).resolve().parents[1] / "policy" / "tables"
TOOLS = ("forecast", "forecast_backtest", "diagnose", "checkpoints", "report", "journal", "watch")


@pytest.fixture
def tool(capsys, monkeypatch):
    """`tool("diagnose", "path", "--json")`: exit code, stdout and stderr of a script, in this process."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            module.main(module.parser(), getattr(module, "checked", module.run))
        streams = capsys.readouterr()
        return end.value.code, streams.out, streams.err

    return run


@pytest.mark.parametrize("name", TOOLS)
def test_help_shows_how(tool, name):
    code, out, _ = tool(name, "--help")
    assert code == 0 and f"python scripts/{name}.py" in out and "--json" in out


def finite(text):
    def refuse(word):
        raise AssertionError(f"{word} in JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_of_every_tool(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINYARD_LEDGER", str(tmp_path / "ledger.jsonl"))
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text(
        "epoch,lr,val/acc\n" + "\n".join(f"{e},0.1,{1 - 1 / e}" for e in range(1, 9))
    )
    import torch

    torch.save({"epoch": 3, "model": {"w": torch.ones(3)}, "val_acc": math.nan}, run / "epoch_3.pt")
    assert finite(tool("forecast", run, "--json", "--until", 12)[1])["epochs"] == [9, 10, 11, 12]
    assert finite(tool("diagnose", run, "--json")[1])["findings"] == []
    (row,) = finite(tool("checkpoints", run, "--json")[1])["checkpoints"]
    assert row["finite"] is True and row["metrics"] == {"val_acc": None}
    assert Path(finite(tool("report", run, "--json", "--no-forecast")[1])["page"]).is_file()
    assert tool("journal", "note", "a thought")[0] == 0
    assert [e["text"] for e in finite(tool("journal", "--json")[1])["entries"]] == ["a thought"]
    assert finite(tool("watch", run, "--json", "--no-forecast")[1])["runs"][0]["epoch"] == 8


def test_exit_codes_of_diagnose(tool, tmp_path):
    assert tool("diagnose", TABLES / "imagenet_resnet50_run.csv")[0] == 1
    assert tool("diagnose", TABLES / "video_lstm_checkpoints.csv")[0] == 2
    (tmp_path / "ok.csv").write_text("epoch,val/acc\n" + "\n".join(f"{e},{1 - 1 / e}" for e in range(1, 9)))
    assert tool("diagnose", tmp_path / "ok.csv")[0] == 0


def test_a_comparison_and_the_newest_runs(tool, tmp_path, monkeypatch):
    table = TABLES / "imagenet_resnet50_run.csv"
    code, _, _ = tool("report", table, table, "--out", tmp_path / "both.html")
    assert code == 0 and "Comparison" in (tmp_path / "both.html").read_text()


def test_pruning_deletes_only_when_told(tool, tmp_path):
    import torch

    for epoch in (1, 2, 3):
        torch.save(
            {"epoch": epoch, "model": {"w": torch.ones(3)}, "val_acc": epoch / 9},
            tmp_path / f"epoch_{epoch}.pt",
        )
    assert "Nothing was deleted" in tool("checkpoints", tmp_path, "--prune", "plan")[1]
    assert len(list(tmp_path.iterdir())) == 3
    tool("checkpoints", tmp_path, "--prune", "plan", "--yes")
    assert [p.name for p in tmp_path.iterdir()] == ["epoch_3.pt"]


def rows(*lines):
    return ("epoch,val/acc,lr\n" + "\n".join(lines)).encode()


def good(n):
    return [f"{e},{0.9 - 0.5 / e:.4f},0.1" for e in range(1, n + 1)]


def zipped(name, size):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"\x80\x02" + b"0" * size)
    return out.getvalue()


TABLES_GONE_WRONG = {
    "empty.csv": b"",
    "blank.csv": b"\n\n\n\n",
    "header.csv": b"epoch,val/acc,lr\n",
    "one_row.csv": rows("1,0.1,0.1"),
    "two_rows.csv": rows("1,0.1,0.1", "2,0.2,0.1"),
    "nan_metric.csv": rows(*(f"{e},nan,0.1" for e in range(1, 20))),
    "nan_late.csv": rows(*good(10), *(f"{e},nan,0.1" for e in range(11, 20))),
    "inf_late.csv": rows(*good(10), "11,inf,0.1", "12,-inf,0.1"),
    "nan_epoch.csv": rows("nan,0.1,0.1", "nan,0.2,0.1"),
    "nan_lr.csv": rows(*(f"{e},{e / 30},nan" for e in range(1, 20))),
    "zero_lr.csv": rows(*(f"{e},{e / 30},0" for e in range(1, 20))),
    "negative_lr.csv": rows(*(f"{e},{e / 30},-0.1" for e in range(1, 20))),
    "huge_lr.csv": rows(*(f"{e},{e / 30},1e300" for e in range(1, 20))),
    "duplicate_epochs.csv": rows(*good(6), *good(6)[3:], "7,0.7,0.1"),
    "renumbered.csv": rows(*good(9), *good(9)),
    "backwards.csv": rows(*reversed(good(12))),
    "zero_based.csv": rows(*(f"{e},{e / 30},0.1" for e in range(12))),
    "negative_epochs.csv": rows(*(f"{e},{0.5},0.1" for e in range(-5, 8))),
    "fraction_epochs.csv": rows(*(f"{e / 4},{e / 40},0.1" for e in range(4, 40))),
    "far_epochs.csv": rows("1,0.1,0.1", "500000,0.2,0.1", "900000,0.3,0.1", "990000,0.3,0.1"),
    "giant_epoch.csv": rows(*good(5), "1e30,0.3,0.1", "1e308,0.4,0.1"),
    "words.csv": rows("one,two,three", "four,five,six"),
    "some_words.csv": rows(*good(9), "10,failed,0.1", "11,n/a,0.1"),
    "ragged.csv": rows(*good(6), "7", "8,0.8", "9,0.8,0.1,5,6,7"),
    "quotes.csv": rows(*good(4), '5,"0.8,0.1', "6,0.8,0.1"),
    "repeated_header.csv": rows(*good(4), "epoch,val/acc,lr", "5,0.8,0.1"),
    "same_names.csv": b"epoch,acc,acc,acc\n1,0.1,0.2,0.3\n2,0.1,0.2,0.3\n3,0.1,0.3,0.4\n",
    "no_names.csv": b",,,\n1,2,3,4\n2,3,4,5\n",
    "no_header.csv": "\n".join(good(9)).encode(),
    "one_column.csv": b"epoch\n1\n2\n3\n",
    "no_metric.csv": b"epoch,lr\n1,0.1\n2,0.1\n3,0.1\n4,0.1\n",
    "wide.csv": (",".join(f"c{i}" for i in range(5000)) + "\n").encode() * 3,
    "long_line.csv": b"epoch,val/acc\n1," + b"9" * 3_000_000 + b"\n",
    "long_header.csv": b"e" * 3_000_000,
    "nul.csv": rows(*good(9)).replace(b"3,", b"3\x00,"),
    "binary.csv": bytes(range(256)) * 300,
    "latin.csv": "epoch,val/acc,größe\n1,0.1,ä\n2,0.2,ß\n3,0.3,ü\n4,0.4,é\n".encode("latin-1"),
    "utf16.csv": rows(*good(9)).decode().encode("utf-16"),
    "utf16_cut.csv": rows(*good(9)).decode().encode("utf-16")[:-1],
    "utf32.csv": rows(*good(9)).decode().encode("utf-32"),
    "bom.csv": b"\xef\xbb\xbf" + rows(*good(9)),
    "semicolons.csv": b"epoch;val/acc;lr\n1;0,5;0,1\n2;0,6;0,1\n3;0,7;0,1\n4;0,7;0,1\n",
    "carriage.csv": rows(*good(9)).replace(b"\n", b"\r"),
    "constant.csv": rows(*(f"{e},0.5,0.1" for e in range(1, 20))),
    "zeros.csv": rows(*(f"{e},0,0.1" for e in range(1, 20))),
    "ones.csv": rows(*(f"{e},1,0.1" for e in range(1, 20))),
    "huge_values.csv": rows(*(f"{e},{10.0 ** (e * 15)},0.1" for e in range(1, 20))),
    "negative_loss.csv": rows(*(f"{e},{-e},0.1" for e in range(1, 20))).replace(b"val/acc", b"val/loss"),
    "gap.csv": rows(*good(5), *(f"{e},0.8,0.1" for e in range(900, 905))),
    "text.log": b"nothing to see here\n" * 99,
    "numbers.log": b"1 2 3\n4 5 6\n" * 99,
    "zeros.log": bytes(9999),
    "braces.log": b"{" * 99_999,
    "bars.log": b"\r".join(b"epoch 1: loss: 0.%d" % i for i in range(9999)),
    "junk.wandb": b":W&B\x00\x00\x00" + bytes(range(256)) * 9,
    "events.out.tfevents.1": b"\x18" + bytes(7) + b"\x00" * 4 + b"\xff" * 28,
}  # fmt: skip
CHECKPOINTS_GONE_WRONG = {
    "empty.pt": b"",
    "cut.ckpt": b"PK\x03\x04" + bytes(60),
    "bomb.pt": zipped("a/data.pkl", 5_000_000),
    "other.pt": zipped("readme.txt", 50),
    "recursion.pth": b"\x80\x04" + b"]" * 99_999 + b".",
    "call.pth": b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00trueTR.",
    "length.pdparams": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f",
    "header.safetensors": b"\xff" * 8 + b"{}",
}


@pytest.mark.parametrize("name", [*TABLES_GONE_WRONG, *CHECKPOINTS_GONE_WRONG])
def test_malformed_input_ends_in_one_clear_line(tool, tmp_path, name):
    content = TABLES_GONE_WRONG.get(name, CHECKPOINTS_GONE_WRONG.get(name))
    (tmp_path / name).write_bytes(content)
    checkpoint = name in CHECKPOINTS_GONE_WRONG
    for command in (
        ["diagnose", "--json"],
        ["checkpoints", "--json"] if checkpoint else ["report", "--no-forecast"],
    ):
        extra = ["--out", tmp_path / "page.html"] if command[0] == "report" else []
        code, out, err = tool(command[0], tmp_path / name, *command[1:], *extra)
        assert code in (0, 1, 2)
        if code == 2 and not out:
            assert err.startswith("error: ") and err.count("\n") == 1 and name.partition(".")[0] in err
        elif command[0] == "diagnose":
            assert finite(out)["verdict"]


HARD = [
    "one_row",
    "nan_late",
    "zero_lr",
    "renumbered",
    "constant",
    "zeros",
    "huge_values",
    "gap",
    "far_epochs",
]


@pytest.mark.parametrize("name", [f"{name}.csv" for name in HARD])
def test_forecasts_of_malformed_tables(tool, tmp_path, name):
    (tmp_path / name).write_bytes(TABLES_GONE_WRONG[name])
    code, out, err = tool("forecast", tmp_path / name, "--json", "--until", 1000 if name == "gap.csv" else 30)
    assert code in (0, 2)
    if code == 0:
        assert all(value is not None for value in finite(out)["median"])
    else:
        assert err.startswith("error: ") and err.count("\n") == 1


def test_a_great_many_rows_are_folded_in_little_memory(tool, tmp_path):
    steps = np.arange(400_000)
    lines = "\n".join(f"{s},{s // 4000 + 1},{1 / (1 + s / 9999):.5f}" for s in steps)
    (tmp_path / "big.csv").write_text("step,epoch,train/loss\n" + lines)
    code, out, _ = tool("diagnose", tmp_path / "big.csv", "--json")
    assert code == 0 and finite(out)["findings"] == []


def test_folders_with_loops_and_links_out(tool, tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    (inside / "dead.pt").symlink_to(tmp_path / "nowhere")
    for name in ("diagnose", "checkpoints", "forecast"):
        code, _, err = tool(name, tmp_path)
        assert code == 2 and err.startswith("error: ")
