"""How good are the forecasts? Score them on finished runs, each one left out of what it is forecast from."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

DESCRIPTION = """
Every run of the folder is cut after 1/3, 1/2, 2/3, 3/4 and 5/6 of its epochs, and its last epoch is
forecast from what came before and from the other runs. Compared with: the last value, a logarithmic
fit, and a BIC-weighted mean of four parametric curves. Miss: forecast minus truth, in points.

  python scripts/forecast_backtest.py shared/runs/library
  python scripts/forecast_backtest.py my_runs --metric val/cer --write-library my_library.json

A library written here calibrates later forecasts (forecast.py --library FILE): its runs shape what is
thought likely, and their misses how wide the bands are. About ten seconds a run on one core.
"""


def run(args: argparse.Namespace) -> int:
    from shared.runs.forecast.backtest.backtest import backtest
    from shared.runs.forecast.backtest.scorecard import table, totals
    from shared.runs.forecast.model.prior import SHIPPED, load_library, save_library

    trials, runs, skipped = backtest(
        args.folder, args.metric, load_library(args.library or SHIPPED), args.seed
    )
    if args.write_library:
        save_library(args.write_library, runs)
    if args.json:
        print_json(
            {"trials": [vars(t) | {"miss": t.miss} for t in trials], **totals(trials), "skipped": skipped}
        )
    else:
        print("\n".join([*table(trials), *(f"skipped: {line}" for line in skipped)]))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path, help="run folders or CSV files of finished runs")
    made.add_argument("--metric", help="column to forecast (default: each run's monitored one)")
    made.add_argument(
        "--library", type=Path, help="further finished runs to learn from (default: the shipped)"
    )
    made.add_argument(
        "--write-library", type=Path, metavar="FILE", help="write the folder's runs as a library"
    )
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)
