"""Waitress around the application: slow clients are buffered, and a stop lets what has begun come to its end."""

import logging
import signal
import threading
import time

from flask import Flask
from waitress import create_server, wasyncore
from waitress.server import BaseWSGIServer

from shared.errors import UserError
from shared.serve.service import Service

THREADS = 32  # requests in work; more wait
CONNECTIONS = 256
IDLE = 30  # seconds after which a silent connection is closed
GRACE = 10  # seconds for requests in work once the server is to stop


def serve(app: Flask, service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; prints the address once it listens. UserError if it cannot."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a waiting request is no news
    channels: dict = {}
    server = listen(app, service, host, port, channels)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"{service.name} reads on http://{host}:{server.effective_port} (Ctrl-C stops)", flush=True)
    while not stop.is_set():
        wasyncore.loop(timeout=0.5, use_poll=True, map=channels, count=1)
    print("stopping: no new requests, those in work are answered", flush=True)
    service.stopping = True
    wasyncore.dispatcher.close(server)  # the listening socket alone
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(busy(channel) for channel in server.active_channels.values()):
        wasyncore.loop(timeout=0.1, use_poll=True, map=channels, count=1)
    server.task_dispatcher.shutdown()
    service.batcher.stop()


def listen(app: Flask, service: Service, host: str, port: int, channels: dict) -> BaseWSGIServer:
    try:
        return create_server(
            app,
            map=channels,
            host=host,
            port=port,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE,
            max_request_body_size=service.limits.body + 2**16,  # just above, the application says it in JSON
            asyncore_use_poll=True,
            ident=None,
        )
    except OSError as error:
        mend = "choose another, or port=0 for any that is free"
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}", "port", mend) from error


def busy(channel) -> bool:
    """Whether a connection has a request in work, or half of one, or an answer to send."""
    return bool(channel.requests or channel.request or channel.total_outbufs_len)
