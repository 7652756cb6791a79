"""What people send to break a server gets an error of its own; the next image is read as ever."""

import base64
import io

import pytest

from tests.serve.hostile import files

FILES = files()
NAMES = ["../../../etc/passwd", "/etc/shadow", "C:\\boot.ini", "a\0b.png", "%2e%2e%2f", "x" * 3000, "<b>.png"]
READABLE = {
    "GIF of 300 frames",
    "WEBP of 300 frames",
    "JPEG with broken EXIF",
}  # images of a line all the same


def test_there_are_enough_of_them():
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_harms_itself_alone(client, lines, name):
    sent = NAMES[len(name) % len(NAMES)]
    good = lines[0].read_bytes()
    form = {"image": [(io.BytesIO(FILES[name]), sent), (io.BytesIO(good), "good.png")]}
    answer = client.post("/v1/recognize", data=form)
    assert answer.status_code == 200, answer.text
    bad, other = answer.json["results"]
    assert other["text"] and "error" not in other
    assert ("error" in bad) != (name in READABLE)
    assert len(bad.get("name", "")) <= 255 and "/" not in bad.get("name", "")
    by_json = client.post("/v1/recognize", json={"image": base64.b64encode(FILES[name]).decode()})
    assert by_json.status_code == 200
    assert ("error" in by_json.json["results"][0]) == ("error" in bad)
