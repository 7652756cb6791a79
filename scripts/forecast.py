"""Where is this run going? A forecast of its metric that knows the learning-rate schedule."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.runs.cli import main, print_json

DESCRIPTION = """
The run may be a run folder, a CSV file, a Lightning, timm, TensorBoard or W&B log, or a text log.
The forecast rests on the law in shared/runs/forecast/model/law.py: annealing takes noise away, a restart
brings it back, progress goes on underneath. Bands are as wide as they had to be on finished runs.

  python scripts/forecast.py runs/imagenet_resnet/2026-11-20_10-00-00 --target 0.75
  python scripts/forecast.py log.csv --metric val_acc --until 90 --schedule cosine_restarts:t_0=30,eta_min=1e-5
  python scripts/forecast.py log.csv --plan plan.csv --event 49 --out forecast.png

The coming learning rate is taken from --plan, else --schedule, else the run's config, else the shape
of the rates logged so far. Schedules: constant, linear, cosine (t_max), cosine_restarts (t_0, t_mult),
one_cycle; each takes lr (the peak), epochs, eta_min and warmup_epochs where it has them.
"""


def run(args: argparse.Namespace) -> int:
    from shared.runs.forecast.forecast import forecast
    from shared.runs.forecast.result import Request
    from shared.runs.forecast.words import as_json, as_text
    from shared.runs.reading.readers import read_run

    request = Request(
        metric=args.metric, target=args.target, until=args.until, schedule=args.schedule, plan=args.plan,
        events=tuple(args.event), patience=args.patience, minutes_per_epoch=args.minutes_per_epoch,
        seed=args.seed,
        **({"library": args.library} if args.library else {}),
    )  # fmt: skip
    made = forecast(read_run(args.run, args.pattern), request)
    if args.out:
        from shared.runs.forecast.draw import save

        save(made, args.out)
    if args.json:
        print_json(as_json(made))
    else:
        print(as_text(made) + (f"\npicture: {args.out}" if args.out else ""))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, metavar="RUN_OR_CSV")
    made.add_argument("--metric", help="column to forecast (default: the monitored one)")
    made.add_argument("--target", type=float, help="value to reach; rates from 1 on are in percent")
    made.add_argument("--until", type=int, metavar="EPOCH", help="last epoch to forecast")
    made.add_argument("--plan", type=Path, metavar="CSV", help="coming learning rates: columns epoch, lr")
    made.add_argument("--schedule", metavar="NAME:FIELD=VALUE,...", help="coming schedule, in epochs")
    made.add_argument("--event", type=int, action="append", default=[], metavar="EPOCH",
                      help="something else changes here: image size, mixup off (may be repeated)")  # fmt: skip
    made.add_argument("--patience", type=int, help="early-stopping patience to check (default: the run's)")
    made.add_argument(
        "--minutes-per-epoch", type=float, metavar="N", help="for the hours (default: the run's own)"
    )
    made.add_argument(
        "--pattern", metavar="REGEX", help="for text logs: named groups, (?P<epoch>...) among them"
    )
    made.add_argument(
        "--library", type=Path, help="finished runs to learn from (default: the shipped library)"
    )
    made.add_argument("--out", type=Path, metavar="FILE", help="draw the forecast: .png, .svg or .html")
    made.add_argument("--seed", type=int, default=0, help="same seed, same forecast (default 0)")
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)
