"""Watch running trainings in the terminal: progress, metric, learning rate, next restart, forecast, events."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

RUNS = Path(__file__).resolve().parents[1] / "runs"
DESCRIPTION = """
Reads the runs' files and nothing else, so it may run on another machine that sees the same folder.

  python scripts/watch.py                               the newest runs below runs/
  python scripts/watch.py runs/khmer_ocr/2026-11-20_10-00-00
  python scripts/watch.py RUN --once                    print once and end (also when stdout is no terminal)
"""


def run(args: argparse.Namespace) -> int:
    from rich.console import Console, Group
    from rich.live import Live

    from shared.runs.watch import Watched, newest_runs, panel, state

    watched = [Watched(path) for path in args.run or newest_runs(RUNS)]

    def look() -> Group:
        for each in watched:
            each.read(not args.no_forecast)
        return Group(*(panel(each) for each in watched))

    console = Console()
    if args.json:
        look()
        print_json({"runs": [state(each) for each in watched]})
    elif args.once or not console.is_terminal:
        console.print(look())
    else:
        with Live(look(), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(args.every)
                live.update(look(), refresh=True)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "run", type=Path, nargs="*", metavar="RUN", help="run folders or logs (default: the newest)"
    )
    made.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between looks (default 5)")
    made.add_argument("--once", action="store_true", help="print once and end")
    made.add_argument("--no-forecast", action="store_true", help="leave the forecast out")
    made.add_argument("--json", action="store_true", help="print one JSON object and end")
    return made


if __name__ == "__main__":
    main(parser(), run)
