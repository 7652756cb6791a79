"""Speakers of recordings, by a trained checkpoint.

  python projects/voxceleb/predict.py verify A.wav B.wav checkpoint=PATH          one speaker or two? A may be a name
  python projects/voxceleb/predict.py enroll NAME A.wav [B.wav ...] checkpoint=PATH       remembers a voice
  python projects/voxceleb/predict.py embed A.wav [B.wav ...] checkpoint=PATH [out=FILE.npz]

Prints one JSON object. Enrolled voices lie in speakers=FOLDER (default data/voxceleb_speakers); `threshold=NUMBER`
decides in place of the checkpoint's, which is that of its equal error rate, and where it has none (a published network,
eval.mode=crops10, AS-Norm) verify needs it; further key=value override its config.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone's code, whatever else is installed

from shared.command.cli import words


def main(arguments: list[str]) -> None:
    from projects.voxceleb.trials.recognition import answer

    print(json.dumps(answer(arguments)))


if __name__ == "__main__":
    if len(sys.argv) < 3 or {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        sys.exit(0 if {"-h", "--help"} & set(sys.argv[1:]) else 2)
    words(__file__, main)
