"""How many requests a second the server answers, how long they take, and what they cost: loopback, one image each.

    python scripts/bench/serve_load.py khmer --seconds 60

Starts scripts/serve.py on a free port, sends the sample lines of docs/samples over 1, 8 and 32 connections
for so many seconds each, and stops it. The clients share the machine with the server: CPU milliseconds count the
server alone. An error is any answer but 200 with a text.
"""

import argparse
import http.client
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
BOUNDARY = "line"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("language", help="a name in shared/ocr/languages that has a starter")
    parser.add_argument("--model", default="", help="an exported .onnx; the language's starter if not given")
    parser.add_argument("--seconds", type=float, default=60, help="for each number of connections")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    given = parser.parse_args()
    bodies = [form(path) for path in sorted((ROOT / "docs" / "samples" / given.language).glob("*.png"))]
    words = [f"language={given.language}", f"model={given.model}", "port=0"]
    command = [sys.executable, str(ROOT / "scripts" / "serve.py"), *words]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        first = server.stdout.readline()
        print(first, end="")
        host, port = re.search(r"http://([\d.]+):(\d+)", first).groups()
        print(
            f"{'connections':>11} {'requests/s':>10} {'p50 ms':>7} {'p99 ms':>7} {'errors':>6} {'CPU ms':>6} {'MB':>5}"
        )
        for connections in given.connections:
            print(measure(psutil.Process(server.pid), host, int(port), bodies, connections, given.seconds))
    finally:
        server.terminate()
        server.wait()


def form(path: Path) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def measure(
    server: psutil.Process, host: str, port: int, bodies: list[bytes], connections: int, seconds: float
) -> str:
    """A row of the table; the server's memory is its largest so far."""
    times: list[float] = []
    errors: list[str] = []
    turns = itertools.cycle(bodies)
    before, began = cpu(server), time.perf_counter()
    threads = [
        threading.Thread(target=client, args=(host, port, turns, began + seconds, times, errors))
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.perf_counter() - began, cpu(server) - before
    median, late = 1000 * np.percentile(times, [50, 99])
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
    return (
        f"{connections:>11} {len(times) / took:>10.1f} {median:>7.1f} {late:>7.1f} {len(errors):>6} "
        f"{1000 * used / len(times):>6.1f} {int(peak[1]) / 1024:>5.0f}"
    )


def client(host: str, port: int, turns, until: float, times: list[float], errors: list[str]) -> None:
    """One connection that sends image after image."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    while time.perf_counter() < until:
        began = time.perf_counter()
        try:
            connection.request("POST", "/v1/recognize", next(turns), HEADERS)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or "text" not in json.loads(body)["results"][0]:
                errors.append(body.decode())
        except (OSError, http.client.HTTPException) as error:
            errors.append(repr(error))
            connection.close()
        times.append(time.perf_counter() - began)


def cpu(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


if __name__ == "__main__":
    main()
