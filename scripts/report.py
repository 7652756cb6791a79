"""One self-contained HTML page for a run, or for several side by side."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

DESCRIPTION = """
Curves with restarts, events and the forecast, losses, learning rate, throughput, diagnosis, pictures
that the project made, how to reproduce it, environment and config. For several runs: the metric of all
in one chart, their bests, and where their configs differ. Opens without a network, in light and dark,
on a phone and in print.

  python scripts/report.py runs/imagenet_resnet/2026-11-20_10-00-00
  python scripts/report.py runs/imagenet_resnet/* --out compare.html
"""


def run(args: argparse.Namespace) -> int:
    from shared.errors import UserError
    from shared.runs.forecast.forecast import forecast
    from shared.runs.forecast.result import Request
    from shared.runs.pages.page import write_page
    from shared.runs.reading.readers import read_run

    runs = [read_run(path) for path in args.run]
    forecasts, notes = {}, []
    if len(runs) == 1 and not args.no_forecast and unfinished(runs[0]):
        try:
            forecasts[runs[0].name] = forecast(runs[0], Request(target=args.target))
        except UserError as error:
            notes.append(f"no forecast: {error}")
    folder = args.run[0] if args.run[0].is_dir() else args.run[0].parent
    target = args.out or (folder / "report.html" if len(runs) == 1 else Path("report.html"))
    write_page(runs, target, forecasts)
    if args.json:
        print_json(
            {"page": target, "bytes": target.stat().st_size, "runs": [r.name for r in runs], "notes": notes}
        )
    else:
        print("\n".join([f"page: {target}", *notes]))
    return 0


def unfinished(run) -> bool:
    """Whether there is anything left to forecast."""
    return run.summary.get("status") not in ("completed", "early_stopped", "stopped_before_restart")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, nargs="+", metavar="RUN")
    made.add_argument("--out", type=Path, help="the page (default: report.html in the run folder)")
    made.add_argument("--target", type=float, help="value to reach, for the forecast")
    made.add_argument("--no-forecast", action="store_true", help="leave the forecast out")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)
