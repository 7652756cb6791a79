"""Read line images over HTTP: python scripts/serve.py language=khmer|thai [checkpoint=FILE.onnx] [port=8000]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.command.cli import command, number
from shared.errors import UserError
from shared.ocr.script.language import Language, find_language

DEFAULTS = {
    "language": None,  # a name in shared/ocr/languages, or a YAML file
    "checkpoint": "",  # an exported .onnx; the language's starter if not given
    "model": "",  # what checkpoint was called before
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


def main(language: str, checkpoint: str, model: str, host: str, **numbers: str) -> None:
    """Serve the recogniser until SIGTERM or Ctrl-C."""
    path = find_model(find_language(language), checkpoint or model)

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

    service = Service(Reader(path, threads, beam, language), path.stem, limits)
    serve(create_app(service), service, host, port)


def find_model(language: Language, checkpoint: str) -> Path:
    """The file to read with: the given one, or the starter of the language."""
    mend = "give checkpoint=FILE.onnx, as a project's export.py makes it"
    if not checkpoint and not language.starter:
        raise UserError(f"{language.name} has no starter", "checkpoint", mend)
    path = Path(checkpoint or language.starter).expanduser()
    if not path.is_file():
        raise UserError(f"no file {path}", "checkpoint", mend)
    return path


if __name__ == "__main__":
    command(__file__, main, DEFAULTS)
