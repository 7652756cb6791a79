"""What is wrong with this run? Verdict first, then the evidence, then the next command."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this clone's code, whatever else is installed

from shared.errors import UserError
from shared.runs.cli import main, print_json

DESCRIPTION = """
Give a run folder, a checkpoint, a folder of checkpoints, or a log of any kind. Nothing is changed, and
nothing in a checkpoint is ever executed.

  python scripts/diagnose.py runs/imagenet_resnet/2026-11-20_10-00-00
  python scripts/diagnose.py checkpoints/epoch_610.pt
  python scripts/diagnose.py train.log --json
  python scripts/diagnose.py replay RUN/nonfinite/step_30.pt      run a saved poisoned step again

Codes: lr_restart, lr_jump_unplanned, non_finite, metric_frozen, overfitting, confidence_vs_accuracy,
plateau, loss_exploded, labels_permuted, input_differs, not_learning,
label_noise, worse_than_trivial, flat_zero_metric, foreign_checkpoint, duplicate_log_lines, throughput_drop,
config_smell. Exit code: 0 clean, 1 warnings, 2 non-finite numbers (or nothing that could be read).
"""


def run(args: argparse.Namespace) -> int:
    from shared.runs.diagnosis.diagnose import as_json, as_text, diagnose
    from shared.runs.diagnosis.finding import exit_code

    if args.path[0] == Path("replay") and len(args.path) == 2:
        from shared.lightning.replay import replay

        findings = replay(args.path[1], args.checkpoint)
    elif len(args.path) == 1:
        findings = diagnose(args.path[0], args.pattern)
    else:
        raise UserError(
            "one path at a time", " ".join(map(str, args.path)), "or: diagnose.py replay STEP_FILE"
        )
    if args.json:
        print_json(as_json(findings))
    else:
        print(as_text(findings))
    return exit_code(findings)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, epilog=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "path",
        type=Path,
        nargs="+",
        metavar="WHAT",
        help="a run folder, a checkpoint, a folder of them or a log; or: replay STEP_FILE",
    )
    made.add_argument(
        "--checkpoint", type=Path, help="for replay: weights, where the step's own were not kept"
    )
    made.add_argument(
        "--pattern", metavar="REGEX", help="for text logs: named groups, (?P<epoch>...) among them"
    )
    made.add_argument("--json", action="store_true", help="print one JSON object instead")
    return made


if __name__ == "__main__":
    main(parser(), run)
