"""The HTTP interface of a recogniser: images in, text out; nothing a client sends may end in a 5xx or much memory."""

from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from shared.serve.service import Service
from shared.serve.uploads import read_uploads

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(service: Service) -> Flask:
    """The Flask application of one recogniser."""
    app, limits, charset = Flask(__name__), service.limits, service.reader.charset
    app.config["MAX_CONTENT_LENGTH"] = limits.body
    app.json.ensure_ascii = False
    document = describe(service)

    @app.post("/v1/recognize")
    def recognize() -> Response:
        if service.stopping:
            raise ServiceUnavailable("the server is stopping", retry_after=5)
        with service.meters.seconds.time():
            results = service.recognize(read_uploads(request, limits.images))
        return jsonify(model=service.name, language=charset.script, results=results)

    @app.get("/healthz")
    def health() -> tuple[Response, int]:
        well = service.batcher.thread.is_alive() and not service.stopping
        return jsonify(status="ok" if well else "stopping"), 200 if well else 503

    @app.get("/v1/models")
    def models() -> Response:
        facts = {
            "name": service.name,
            "language": charset.script,
            "height": service.reader.height,
            "characters": charset.characters,
        }
        return jsonify(models=[facts])

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.meters.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(document)

    @app.get("/")
    def page() -> str:
        return render_template("page.html", language=charset.script, limits=limits, model=service.name)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        response = error.get_response()
        response.data, response.content_type = jsonify(error=error.description).data, "application/json"
        return response

    @app.after_request
    def finish(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "other"
        service.meters.requests.labels(route, response.status_code).inc()
        response.headers.extend(HEADERS)
        return response

    return app


def describe(service: Service) -> dict[str, Any]:
    """The OpenAPI document, with this server's limits in it."""
    text = Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    content = document["paths"]["/v1/recognize"]["post"]["requestBody"]["content"]
    for schema in (
        content["multipart/form-data"]["schema"]["properties"]["image"],
        content["application/json"]["schema"]["oneOf"][1]["properties"]["images"],
    ):
        schema["maxItems"] = service.limits.images
    return document
