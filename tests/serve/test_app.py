import base64
import dataclasses
import io
import threading
import time

import pytest
from PIL import Image

from shared.config.root import ROOT
from shared.ocr.lines.image import read_line
from shared.serve.app import create_app
from tests.serve.conftest import LIMITS

RECOGNIZE = "/v1/recognize"


def form(*paths):
    return {"image": [(path.open("rb"), path.name) for path in paths]}


def encoded(path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_files_of_a_form_are_read_in_order(client, reader, lines):
    answer = client.post(RECOGNIZE, data=form(*lines))
    assert answer.status_code == 200
    assert (answer.json["model"], answer.json["language"]) == ("khmer_ocr_tiny", "khmer")
    expected = [reading.text for reading in reader.read([read_line(path, reader.height) for path in lines])]
    assert [result["text"] for result in answer.json["results"]] == expected
    assert [result["name"] for result in answer.json["results"]] == [path.name for path in lines]
    assert [result["index"] for result in answer.json["results"]] == [0, 1, 2, 3]
    assert all(0 < result["score"] <= 1 for result in answer.json["results"])


def test_what_is_read_does_not_depend_on_the_rest_of_the_batch(reader):
    """The network's convolutions look beyond the end of a line, into what a batch is padded with."""
    paths = sorted((ROOT / "docs" / "samples" / "khmer").glob("*.png"))
    images = [read_line(path, reader.height) for path in paths]
    alone = [reader.read([image])[0] for image in images]
    together = reader.read(images)
    assert [reading.text for reading in together] == [reading.text for reading in alone]
    assert [reading.score for reading in together] == pytest.approx(
        [reading.score for reading in alone], abs=1e-3
    )


def test_json_gives_what_a_form_gives(client, lines):
    by_form = client.post(RECOGNIZE, data=form(lines[0])).json["results"][0]["text"]
    text = encoded(lines[0])
    for body in ({"image": text}, {"images": [text]}, {"images": [f"data:image/png;base64,{text}"]}):
        assert client.post(RECOGNIZE, json=body).json["results"][0]["text"] == by_form


def test_a_bad_image_harms_itself_alone(client, lines):
    images = ["?", encoded(lines[0]), "", base64.b64encode(b"no image").decode()]
    results = client.post(RECOGNIZE, json={"images": images}).json["results"]
    assert [sorted(result) for result in results] == [
        ["error", "index"],
        ["index", "score", "text"],
        ["error", "index"],
        ["error", "index"],
    ]
    assert results[0]["error"] == "not base64"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"images": []}, 400),
        ({"images": [1]}, 400),
        ({"images": "text"}, 400),
        ({"image": "", "images": []}, 400),
        ({"image": "", "path": "/etc/passwd"}, 400),
        ([], 400),
        ({"images": [""] * (LIMITS.images + 1)}, 400),
        ({"image": "A" * LIMITS.body}, 413),
    ],
)
def test_a_wrong_body_is_refused_in_json(client, body, status):
    answer = client.post(RECOGNIZE, json=body)
    assert answer.status_code == status
    assert answer.json["error"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"image": NaN', b"1" * 5000, b"null"])
def test_what_is_no_json_is_refused(client, body):
    assert client.post(RECOGNIZE, data=body, content_type="application/json").status_code == 400


def test_forms_hold_images_and_nothing_else(client, lines):
    for data in ({"image": "text"}, {"file": form(lines[0])["image"]}, {**form(lines[0]), "more": "1"}, {}):
        answer = client.post(RECOGNIZE, data=data, content_type="multipart/form-data")
        assert answer.status_code == 400, data
    assert client.post(RECOGNIZE, data=form(*lines, *lines)).status_code == 400
    assert client.post(RECOGNIZE, data=b"x", content_type="text/plain").status_code == 415


def test_a_name_loses_its_folders(client, lines):
    for sent, shown in (("../../etc/passwd", "passwd"), ("a" * 999, "a" * 255)):
        answer = client.post(RECOGNIZE, data={"image": [(lines[0].open("rb"), sent)]})
        assert answer.json["results"][0]["name"] == shown


def test_other_routes_and_methods_are_refused_in_json(client):
    assert client.get("/nothing").json["error"] and client.get("/nothing").status_code == 404
    refused = client.get(RECOGNIZE)
    assert refused.status_code == 405 and refused.json["error"] and "POST" in refused.headers["Allow"]


def test_an_image_has_only_so_many_pixels(client):
    buffer = io.BytesIO()
    Image.new("L", (2001, 1000)).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    assert client.post(RECOGNIZE, json={"image": image}).json["results"][0]["error"].endswith("too many")


def test_a_full_queue_says_try_again(client, service, lines):
    service.batcher.capacity = 1
    answer = client.post(RECOGNIZE, data=form(*lines[:2]))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert client.post(RECOGNIZE, data=form(lines[0])).status_code == 200


def test_a_request_has_only_so_much_time(client, service, lines, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(service.batcher, "read", lambda lines: gate.wait(10) and [])
    service.limits = dataclasses.replace(LIMITS, seconds=0.2)
    answer = client.post(RECOGNIZE, data=form(lines[0]))
    gate.set()
    assert answer.status_code == 503 and "0.2 seconds" in answer.json["error"]


def test_an_error_of_the_reader_is_an_items_error(client, service, lines, monkeypatch):
    monkeypatch.setattr(service.batcher, "read", lambda lines: 1 / 0)
    answer = client.post(RECOGNIZE, data=form(lines[0]))
    assert answer.status_code == 200 and answer.json["results"][0]["error"]


def test_requests_at_the_same_time_share_batches(service, reader, lines, monkeypatch):
    gate, begun, answers = threading.Event(), [], []

    def read(batch):
        begun.append(len(batch))
        assert gate.wait(10)
        return reader.read(batch)

    monkeypatch.setattr(service.batcher, "read", read)
    app = create_app(service)

    def ask(path):
        answers.append(app.test_client().post(RECOGNIZE, data=form(path)))

    threads = [threading.Thread(target=ask, args=[path]) for path in lines]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while sum(begun) + len(service.batcher.waiting) < len(lines) and time.monotonic() < deadline:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * len(lines)
    assert sum(begun) == len(lines) and len(begun) < len(lines)


def test_health_follows_the_worker(client, service):
    assert (client.get("/healthz").status_code, client.get("/healthz").json) == (200, {"status": "ok"})
    service.stopping = True
    assert client.get("/healthz").status_code == 503
    assert client.post(RECOGNIZE, json={"image": ""}).status_code == 503
    service.stopping = False
    service.batcher.stop()
    assert client.get("/healthz").status_code == 503


def test_the_model_is_described(client):
    (model,) = client.get("/v1/models").json["models"]
    assert (model["name"], model["language"], model["height"]) == ("khmer_ocr_tiny", "khmer", 40)
    assert "ក" in model["characters"]


def test_everything_is_counted(client, lines):
    client.post(RECOGNIZE, data=form(lines[0]))
    client.post(RECOGNIZE, json={"images": ["?", "?"]})
    client.get("/nothing")
    text = client.get("/metrics").text
    assert 'trainyard_requests_total{route="/v1/recognize",status="200"} 2.0' in text
    assert 'trainyard_requests_total{route="other",status="404"} 1.0' in text
    assert 'trainyard_images_total{outcome="read"} 1.0' in text
    assert 'trainyard_images_total{outcome="refused"} 2.0' in text


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert "Khmer" in page.text and 'data-lang="km"' in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for path in ("/static/page.css", "/static/page.js"):
        assert path in page.text and "http" not in client.get(path).text
