"""The API does what its OpenAPI document says, whatever is sent: 4xx for what the document forbids, never a 5xx."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from shared.serve.app import create_app
from shared.serve.service import Service
from tests.serve.conftest import LIMITS, STARTER

schemathesis = pytest.importorskip("schemathesis")
MODES = list(schemathesis.GenerationMode)


@pytest.fixture(scope="module")
def schema(reader):
    service = Service(reader, STARTER.stem, LIMITS)
    schema = schemathesis.openapi.from_wsgi("/openapi.json", create_app(service))
    yield schema
    service.batcher.stop()


def test_every_route_is_described(schema):
    described = {
        f"{method.upper()} {path}" for path, item in schema.raw_schema["paths"].items() for method in item
    }
    routes = {
        f"{method} {rule.rule}"
        for rule in schema.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert described == routes


def fuzz(operation, mode, examples: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def run(case):
        case.call_and_validate()

    run()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_recognize_withstands_whatever_is_sent(schema, mode):
    fuzz(schema["/v1/recognize"]["POST"], mode, 60)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_recognize_withstands_much_of_it(schema, mode):
    fuzz(schema["/v1/recognize"]["POST"], mode, 1000)


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/v1/models", "/openapi.json"])
def test_what_can_be_had_is_as_described(schema, path):
    fuzz(schema[path]["GET"], schemathesis.GenerationMode.POSITIVE, 3)
