"""The HTTP interface of a recogniser: images in, text out; nothing a client sends may end in a 5xx or much memory."""

from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Response, jsonify, render_template, request, send_file
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from shared.ocr.script.language import find_language
from shared.serve.service import Service
from shared.serve.uploads import read_uploads

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(service: Service) -> Flask:
    """The Flask application of one recogniser."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = service.limits.body
    app.json.ensure_ascii = False
    add_interface(app, service)
    add_operations(app, service)
    add_page(app, service)

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


def add_interface(app: Flask, service: Service) -> None:
    """What programs ask for."""
    charset, document = service.reader.charset, describe(service)
    name = Path(charset.language).stem

    @app.post("/v1/recognize")
    def recognize() -> Response:
        if service.stopping:
            raise ServiceUnavailable("the server is stopping", retry_after=5)
        with service.meters.seconds.time():
            results = service.recognize(read_uploads(request, service.limits.images))
        return jsonify(model=service.name, language=name, results=results)

    @app.get("/v1/models")
    def models() -> Response:
        facts = {"name": service.name, "language": name, "height": service.reader.height}
        return jsonify(models=[facts | {"characters": charset.characters}])

    @app.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(document)


def add_operations(app: Flask, service: Service) -> None:
    """What those who run the server ask for."""

    @app.get("/healthz")
    def health() -> tuple[Response, int]:
        well = service.batcher.thread.is_alive() and not service.stopping
        return jsonify(status="ok" if well else "stopping"), 200 if well else 503

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.meters.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def add_page(app: Flask, service: Service) -> None:
    """What people look at."""
    language = find_language(service.reader.charset.language)

    @app.get("/")
    def page() -> str:
        return render_template("page.html", language=language, limits=service.limits, model=service.name)

    # not every machine that opens the page can show the script
    @app.get("/font.ttf")
    def font() -> Response:
        return send_file(language.page_font, "font/ttf", max_age=86_400)


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
