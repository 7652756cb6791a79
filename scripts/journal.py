"""The research journal: every run and note from the ledger, as Markdown, a section a day."""

import argparse
import datetime
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

DESCRIPTION = """
Each run writes a line when it starts (its question from note="...", its config's differences from the
project's last run, the git commit) and one when it ends (status and result). The ledger lies outside
the checkout, so that `git clean` and `git reset` cannot take it: $TRAINYARD_LEDGER, else
~/.local/share/trainyard/ledger.jsonl. Nothing ever rewrites it.

  python scripts/journal.py                              everything
  python scripts/journal.py --since 2026-11-01 > journal.md
  python scripts/journal.py note "the new fonts help; try a larger batch next"
  python scripts/journal.py path
"""


def run(args: argparse.Namespace) -> int:
    from shared.runs import ledger
    from shared.runs.journal import journal, since

    if args.action == "path":
        print(ledger.ledger_path())
        return 0
    if args.action == "note":
        entry = ledger.append("note", text=" ".join(args.text).strip())
        print_json(entry) if args.json else print(f"noted in {ledger.ledger_path()}")
        return 0
    found = since(list(ledger.entries()), args.since)
    if args.json:
        print_json({"ledger": ledger.ledger_path(), "entries": found})
    else:
        print(journal(found))
    return 0


def checked(args: argparse.Namespace) -> int:
    """`note` needs a text, and only `note` takes one."""
    from shared.errors import UserError

    if (args.action == "note") != bool(" ".join(args.text).strip()):
        raise UserError(
            "a note and its text belong together", "journal", 'write: journal.py note "what you found"'
        )
    return run(args)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("action", nargs="?", choices=["show", "note", "path"], default="show")
    made.add_argument("text", nargs="*", help="the note")
    made.add_argument("--since", type=day, metavar="YYYY-MM-DD", help="leave out what came before this day")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), checked)
