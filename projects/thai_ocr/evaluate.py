"""Evaluate a checkpoint: python projects/<project>/evaluate.py checkpoint=PATH [split=train] [overrides]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import evaluate

if __name__ == "__main__":
    evaluate(__file__)
