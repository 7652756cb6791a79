"""The images of a request, whichever way they came: files of a form, or base64 in JSON."""

import base64
import binascii
import re
from typing import Any, NamedTuple

from flask import Request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from shared.errors import ImageError

DATA_URL = re.compile(r"data:[^,;]{0,99};base64,")


class Upload(NamedTuple):
    """An encoded image: `content` is a file's bytes, or base64 text; `name` is what the sender calls it."""

    name: str | None
    content: bytes | str

    def data(self) -> bytes:
        """The file's bytes; ImageError for what is no base64."""
        if isinstance(self.content, bytes):
            return self.content
        try:
            return base64.b64decode(DATA_URL.sub("", self.content, count=1), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ImageError("not base64") from error


def read_uploads(request: Request, most: int) -> list[Upload]:
    """At least one and at most `most` images; a 4xx exception says what is wrong with the request."""
    kind = request.mimetype
    if kind == "multipart/form-data":
        uploads = from_form(request)
    elif kind == "application/json":
        uploads = from_json(request)
    else:
        raise UnsupportedMediaType("send multipart/form-data with files named 'image', or application/json")
    if len(uploads) > most:
        raise BadRequest(f"{len(uploads)} images in one request; {most} are allowed")
    return uploads


def from_form(request: Request) -> list[Upload]:
    files = request.files.getlist("image")
    if request.form or not files or set(request.files) != {"image"}:
        raise BadRequest("send each image as a file in a field named 'image', and nothing else")
    return [Upload(name(file.filename), file.read()) for file in files]


def name(filename: str | None) -> str | None:
    """What the sender calls a file, without folders; it is shown, never opened."""
    return re.split(r"[/\\]", filename or "")[-1][:255] or None


def from_json(request: Request) -> list[Upload]:
    try:
        body: Any = request.get_json()
    except RecursionError as error:
        raise BadRequest("the JSON is nested too deeply") from error
    if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"image", "images"}:
        raise BadRequest('send {"image": "<base64>"} or {"images": ["<base64>", ...]}')
    images = body["images"] if "images" in body else [body["image"]]
    if not isinstance(images, list) or not images or not all(isinstance(image, str) for image in images):
        raise BadRequest("each image is a string of base64, and there is at least one")
    return [Upload(None, image) for image in images]
