"""A server in the same process, around the shipped Khmer starter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from shared.config.root import ROOT
from shared.ocr.reading.reader import Reader
from shared.serve.app import create_app
from shared.serve.limits import Limits
from shared.serve.service import Service

STARTER = ROOT / "projects" / "khmer_ocr" / "starter" / "khmer_ocr_tiny.onnx"
LIMITS = Limits(body=2**20, pixels=2_000_000, images=5, queue=12)


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader(STARTER)


@pytest.fixture
def service(reader) -> Iterator[Service]:
    service = Service(reader, STARTER.stem, LIMITS)
    yield service
    service.batcher.stop()


@pytest.fixture
def client(service) -> FlaskClient:
    return create_app(service).test_client()


@pytest.fixture(scope="session")
def lines() -> list[Path]:
    return sorted((ROOT / "docs" / "samples" / "khmer").glob("*.png"))[:4]
