"""A table of every checkpoint in a folder, what to use, and what can be deleted."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

DESCRIPTION = """
Reads .pt, .pth, .ckpt, .safetensors, .pdparams and .pdopt files without running anything in them: the
model's code is not needed. For each: epoch, metrics and learning rate saved in it, size, parameters,
whether all numbers are finite, a short SHA-256, and notes (best, latest, another model, corrupt).

  python scripts/checkpoints.py runs/video_lstm/checkpoints
  python scripts/checkpoints.py FOLDER --prune plan       the plan: what could go, and how much disk that frees
  python scripts/checkpoints.py FOLDER --prune plan --every 100 --yes      carry it out, keeping each 100th epoch

Pruning keeps the best, the newest good one, files named best/last/cycle/milestone, other models' files
and whatever it cannot read; it deletes nothing where no good checkpoint would be left.
"""


def run(args: argparse.Namespace) -> int:
    from shared.runs.checkpoints import prune, words
    from shared.runs.checkpoints.table import checkpoint_table

    table = checkpoint_table(args.folder, hashes=not args.fast)
    plan = prune.plan(table, args.every) if args.prune else None
    if args.json:
        print_json(words.as_json(table, plan))
    elif args.html:
        from shared.runs.pages.page import document

        print(document(f"Checkpoints of {args.folder}", words.as_html(table)))
    else:
        print(words.as_markdown(table, plan))
    if plan is not None and args.yes:
        print(f"deleted {prune.carry_out(plan)} files", file=sys.stderr)
    elif plan is not None and plan.delete and not args.json:
        print("\nNothing was deleted; add --yes to do so.")
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path)
    made.add_argument(
        "--prune", nargs="?", const="plan", choices=["plan"], help="also plan what could be deleted"
    )
    made.add_argument("--every", type=int, metavar="N", help="with --prune: keep each N-th epoch")
    made.add_argument("--yes", action="store_true", help="with --prune: delete what the plan says")
    made.add_argument("--fast", action="store_true", help="leave out the hashes")
    made.add_argument("--html", action="store_true", help="print an HTML page instead of Markdown")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)
