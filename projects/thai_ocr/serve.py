"""The command of before, for Thai unless language= is given: scripts/serve.py serves every language."""

import runpy
import sys
from pathlib import Path

if not any(word.startswith(("language=", "-h", "--help")) for word in sys.argv):
    sys.argv.append("language=thai")
if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "serve.py"), run_name="__main__")
