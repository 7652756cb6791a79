"""Read line images over HTTP: python projects/thai_ocr/serve.py language=thai|khmer [port=8000]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number
from shared.config.root import ROOT
from shared.errors import UserError

LANGUAGES = ("thai", "khmer")
DEFAULTS = {
    "language": "thai",
    "model": "",  # an exported .onnx; the language's starter if not given
    "host": "127.0.0.1",
    "port": "8000",
    "threads": "1",  # of ONNX Runtime
    "beam": "8",  # hypotheses of the search with the language model; 1 reads the best path
    "body_mb": "8",
    "pixels_mp": "10",
    "images": "32",  # in a request
    "seconds": "20",  # for a request
    "queue": "256",  # lines waiting
}


def main(language: str, model: str, host: str, **numbers: str) -> None:
    """Serve the model until SIGTERM or Ctrl-C."""
    path = find(language, model)

    def take(key: str, low: int, high: int) -> int:
        return number(key, numbers[key], low, high, DEFAULTS[key])

    port, threads, beam = take("port", 0, 65535), take("threads", 1, 1024), take("beam", 1, 100)
    from shared.serve.limits import Limits

    limits = Limits(
        body=take("body_mb", 1, 1024) * 2**20,
        pixels=take("pixels_mp", 1, 100) * 10**6,
        images=take("images", 1, 1024),
        seconds=take("seconds", 1, 3600),
        queue=take("queue", 1, 100_000),
    )
    if limits.queue < limits.images:
        raise UserError(
            "a full request would not fit into the queue", "queue", f"give {limits.images} or more"
        )
    from shared.ocr.reading.reader import Reader
    from shared.serve.app import create_app
    from shared.serve.server import serve
    from shared.serve.service import Service

    reader = Reader(path, threads, beam)
    if reader.charset.script != language:
        raise UserError(f"{path} reads {reader.charset.script}", "language", f"say {reader.charset.script}")
    service = Service(reader, path.stem, limits)
    serve(create_app(service), service, host, port)


def find(language: str, model: str) -> Path:
    """The model's file: the given one, or the starter of the language."""
    if language not in LANGUAGES:
        raise UserError(f"no language {language!r}", "language", f"choose {' or '.join(LANGUAGES)}")
    project = ROOT / "projects" / f"{language}_ocr"
    path = Path(model) if model else project / "starter" / f"{language}_ocr_tiny.onnx"
    if not path.is_file():
        mend = f"give model=FILE.onnx, as {project.relative_to(ROOT)}/export.py makes it"
        raise UserError(f"no file {path}", "model", mend)
    return path


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
