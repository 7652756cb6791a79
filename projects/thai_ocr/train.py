"""Train this project: python projects/<project>/train.py [overrides]; --help lists what can be overridden."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import train

if __name__ == "__main__":
    train(__file__)
