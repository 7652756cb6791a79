"""serve.py in a process of its own, as a user starts it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.config.root import ROOT

SERVE = ROOT / "scripts" / "serve.py"


def command(*words: str) -> list[str]:
    return [sys.executable, str(SERVE), *words]


@contextmanager
def served(
    *words: str, language: str = "khmer", file: Path = SERVE
) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address and the process of `serve.py language=... port=0 ...`; killed in the end."""
    process = subprocess.Popen(
        [sys.executable, str(file), *([f"language={language}"] if language else []), "port=0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        first = process.stdout.readline()
        address = re.search(r"http://\S+", first)
        assert address, first + process.stdout.read()
        yield address[0], process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
