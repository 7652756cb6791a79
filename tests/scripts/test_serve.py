import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from scripts.serve import DEFAULTS, main
from shared.config.root import ROOT
from shared.ocr.script import ctc
from shared.ocr.script.language import find_language
from shared.serve import server
from tests.scripts.serving import SERVE, command, served
from tests.serve.hostile import files

LINES = sorted((ROOT / "docs" / "samples" / "khmer").glob("*.png"))


def ask(address: str, *paths, timeout: float = 30) -> requests.Response:
    sent = [("image", (path.name, path.read_bytes())) for path in paths]
    return requests.post(f"{address}/v1/recognize", files=sent, timeout=timeout)


def test_it_serves_and_stops_in_peace():
    with served() as (address, process):
        answer = ask(address, *LINES[:3])
        assert answer.status_code == 200 and all("text" in result for result in answer.json()["results"])
        assert requests.get(f"{address}/healthz", timeout=10).json() == {"status": "ok"}
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert "Traceback" not in process.stdout.read()


@pytest.mark.parametrize(("beam", "searches"), [(DEFAULTS["beam"], True), ("1", False)])
def test_it_reads_with_the_language_model_unless_told_otherwise(monkeypatch, beam, searches):
    found = []
    monkeypatch.setattr(server, "serve", lambda app, service, host, port: found.append(service.reader))
    main(**{**DEFAULTS, "language": "khmer", "beam": beam})
    assert [reader.decode is not ctc.greedy for reader in found] == [searches]


def test_a_name_of_two_addresses_is_one_server():
    with served("host=localhost") as (address, _):
        assert requests.get(f"{address}/healthz", timeout=10).status_code == 200


def test_what_is_in_work_is_answered_before_the_end():
    """Two requests with many lines are on their way when the signal comes; new connections are refused."""
    with served() as (address, process):
        answers = []
        askers = [
            threading.Thread(target=lambda: answers.append(ask(address, *LINES[:20]))) for _ in range(2)
        ]
        for asker in askers:
            asker.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            counted = requests.get(f"{address}/metrics", timeout=10).text
            if "trainyard_queue_lines 0.0" not in counted:
                break
        process.send_signal(signal.SIGTERM)
        for asker in askers:
            asker.join(timeout=30)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert process.wait(timeout=20) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{address}/healthz", timeout=5)


def test_hostile_files_cost_it_little_memory():
    with served("seconds=60") as (address, process):
        everything = list(files().items())
        for start in range(0, len(everything), 8):
            sent = [("image", item) for item in everything[start : start + 8]]
            assert requests.post(f"{address}/v1/recognize", files=sent, timeout=60).status_code == 200
        assert ask(address, LINES[0]).json()["results"][0]["text"]
        with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123
            peak = next(int(row.split()[1]) for row in status if row.startswith("VmHWM"))
        assert peak < 1_000_000, f"{peak} kB"


def test_broken_http_harms_nobody():
    with served() as (address, _):
        host, port = urlsplit(address).hostname, urlsplit(address).port
        for sent in (
            b"\x00" * 500,
            b"POST /v1/recognize HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
            b"POST /v1/recognize HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
            b"POST /v1/recognize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):
            with socket.create_connection((host, port), timeout=10) as connection:
                connection.sendall(sent)
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.putrequest("POST", "/v1/recognize")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        assert connection.getresponse().status == 413, "refused before it is sent"
        assert requests.get(f"{address}/static/../../app.py", timeout=10).status_code == 404
        assert ask(address, LINES[0]).status_code == 200


def test_neither_torch_nor_paddle_is_imported():
    code = f"""
import sys, io
sys.path.insert(0, {str(ROOT)!r})
from scripts import serve
from shared.ocr.script.language import find_language
from shared.ocr.reading.reader import Reader
import shared.serve.server
from shared.serve.app import create_app
from shared.serve.limits import Limits
from shared.serve.service import Service
client = create_app(Service(Reader(serve.find_model(find_language("khmer"), "")), "khmer", Limits())).test_client()
answer = client.post("/v1/recognize", data={{"image": (io.BytesIO(open({str(LINES[0])!r}, "rb").read()), "a.png")}})
assert answer.json["results"][0]["text"], answer.json
print(sorted({{"torch", "paddle", "lightning", "albumentations"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["language=lao"],
            "no language 'lao' (language): choose khmer, thai, or give a YAML file of your own",
        ),
        (
            ["language=thai", "model=/no/such.onnx"],
            "no file /no/such.onnx (checkpoint): give checkpoint=FILE.onnx",
        ),
        (["language=thai", "beam=0"], "'0' is no number from 1 to 100 (beam): say 8"),
        (["language=khmer", "port=web"], "'web' is no number from 0 to 65535 (port)"),
        (["language=khmer", "queue=3"], "would not fit into the queue (queue): give 32 or more"),
        (["language=khmer", f"model={SERVE}"], "not an exported recogniser"),
        (
            ["language=khmer", "host=no.such.host.invalid", "port=0"],
            "cannot listen on no.such.host.invalid:0",
        ),
        (
            ["language=thai", f"checkpoint={find_language('khmer').starter}"],
            "reads khmer (language): say language=khmer",
        ),
        (["langauge=thai"], "unknown argument (langauge)"),
    ],
)
def test_mistakes_are_explained_in_one_line(words, said):
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_command_of_before_still_serves_thai():
    with served(file=ROOT / "projects" / "thai_ocr" / "serve.py", language="") as (address, _):
        assert requests.get(f"{address}/v1/models", timeout=10).json()["models"][0]["language"] == "thai"


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            command("language=khmer", f"port={port}"),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    assert done.returncode == 2 and f"cannot listen on 127.0.0.1:{port}" in done.stderr
