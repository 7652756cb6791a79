"""The ledger keeps everything, and the journal tells it."""

import datetime
import json
import threading
from pathlib import Path

import pytest

from shared.runs import ledger
from shared.runs.journal import journal, since


@pytest.fixture
def diary(tmp_path, monkeypatch):
    path = tmp_path / "elsewhere" / "ledger.jsonl"
    monkeypatch.setenv("TRAINYARD_LEDGER", str(path))
    return path


def write_config(folder: Path, text: str) -> dict:
    import yaml

    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(text)
    return yaml.safe_load(text)


def test_a_run_is_told_with_question_change_and_result(tmp_path, diary):
    first = write_config(tmp_path / "a", "project: p\noptimizer: {lr: 0.1}\nrun_dir: a\n")
    ledger.run_started(tmp_path / "a", first, "abc123")
    ledger.run_ended(
        tmp_path / "a", {"status": "completed", "monitor": {"name": "val/top1", "best": 0.5, "best_epoch": 3}}
    )
    second = write_config(
        tmp_path / "b", "project: p\noptimizer: {lr: 0.2}\nrun_dir: b\nnote: is 0.2 better?\n"
    )
    ledger.run_started(tmp_path / "b", second, "abc123+changes")
    ledger.append("note", text="it was not")
    told = journal(list(ledger.entries()))
    assert "completed, best val/top1 50.00 % at epoch 3" in told
    assert "question: is 0.2 better?" in told and "it was not" in told
    assert "against a: `optimizer.lr` 0.1 → 0.2" in told
    assert "run_dir" not in told.replace(str(tmp_path), "")
    assert "with uncommitted changes" in told and "still running, or killed" in told


def test_a_torn_line_costs_only_itself(diary):
    ledger.append("note", text="before")
    with diary.open("a") as file:
        file.write('{"time": 1, "kind": "no\n\x00\xff\n[1, 2]\n')
    ledger.append("note", text="after")
    assert [entry["text"] for entry in ledger.entries()] == ["before", "after"]


def test_writers_at_once_do_not_mix(diary):
    def write(number):
        for _ in range(20):
            ledger.append("note", text=str(number) * 3000)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [json.loads(line)["text"] for line in diary.read_text().splitlines()]
    assert len(texts) == 160 and all(len(set(text)) == 1 and len(text) == 3000 for text in texts)


def test_an_unwritable_ledger_stops_no_run(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRAINYARD_LEDGER", str(tmp_path / "file" / "ledger.jsonl"))
    ledger.run_started(tmp_path, {"project": "p"}, None)
    assert "was not written" in caplog.text


def test_since_a_day(diary):
    ledger.append("note", text="today")
    found = list(ledger.entries())
    today = datetime.datetime.now().astimezone().date()
    assert since(found, today) == found
    assert since(found, today + datetime.timedelta(days=1)) == []
    assert "ledger is empty" in journal([])
