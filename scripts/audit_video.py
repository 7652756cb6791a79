"""Audit a folder of videos: what cannot be read, is cut short, is there twice or leaks; what is merely odd.

    python scripts/audit_video.py data/UCF101 --out audit.json

ROOT is what data.root=ROOT would train on: UCF101, HMDB51 or class folders. Exit code 1 if there are problems; odd
videos (turned, of variable frame rate, very short, ...) are none, the reader handles them.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from projects.video_lstm.videos.audit import audit
from shared.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder of the videos")
    parser.add_argument("--split", type=int, default=1, help="official split, 1 to 3 (default %(default)s)")
    parser.add_argument("--out", type=Path, help="file for the whole report as JSON")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
    given = parser.parse_args()
    try:
        found = audit(given.root, given.split)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text if given.json else in_words(found))
    return int(any(found["problems"].values()))


def in_words(found: dict) -> str:
    """Counts of everything, and the first examples of each problem."""
    lines = [f"{name:<30} {count:>7}" for name, count in found["videos"].items()]
    for name, count in {**found["problems"], **found["odd"]}.items():
        lines.append(f"{name:<30} {count:>7}")
        lines += [
            f"    {example}" for example in found["examples"].get(name, [])[:5] if name in found["problems"]
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
