"""The command line of every project: Hydra parses, then (and only then) the heavy imports begin.

What a user did wrong ends in one `error:` line on stderr and exit code 2; a bug keeps its traceback and exit code 1.
"""

import difflib
import inspect
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from shared.config.choices import check_choices, usable
from shared.config.passwords import refuse_password
from shared.config.root import ROOT
from shared.errors import SweepError, UserError

USER_ERRORS = (UserError, HydraException, OmegaConfBaseException)


def train(file: str) -> None:
    """Run the project whose `train.py` is `file`: `conf/<project>.yaml` plus the overrides in `sys.argv`."""
    sys.argv[1:] = sorted(
        sys.argv[1:], key=lambda word: word not in ("-m", "--multirun")
    )  # argparse wants it first
    project = Path(file).resolve().parent.name
    begun = []

    def task(cfg: DictConfig) -> float:
        begun.append(cfg)
        from shared.command.runner import run

        try:
            check_choices(project, HydraConfig.get().runtime.choices)
            return run(cfg)
        except InstantiationException:
            raise
        except USER_ERRORS as error:
            if not _in_sweep() or isinstance(error, SweepError):
                _exit(_explain(error, project))
            _say(_explain(error, project))
        except Exception:
            if not _in_sweep():
                raise
            traceback.print_exc()
        from shared.sweeps.table import job_failed

        job_failed()
        return math.nan  # a failed job of a sweep: the others go on

    try:
        _main(task, project)
    except OSError as error:
        if begun:
            raise
        mend = "choose a folder that can be written"
        _exit(UserError(f"cannot make {error.filename}: {error.strerror}", "run_dir", mend))


EVALUATE = """Score a checkpoint on its validation set; the last line is one JSON object of metrics.

  {command} checkpoint=runs/.../checkpoints/best.ckpt
  {command} checkpoint=best.ckpt split=train
  {command} checkpoint=best.ckpt data.root=/data/others

checkpoint=PATH      what training saved; its own settings are used
split=val|train      which side of the data (val)
key=value            any setting of train.py, in the place of the checkpoint's"""


def evaluate(file: str) -> None:
    """Score `checkpoint=PATH` of the project whose `evaluate.py` is `file`; prints one JSON object."""
    project = Path(file).resolve().parent.name
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) == 1:
        print(EVALUATE.format(command=f"python projects/{project}/evaluate.py"))
        sys.exit(0 if len(sys.argv) > 1 else 2)

    def task() -> None:
        from shared.command.evaluation import evaluate

        evaluate(project, ROOT / "conf", sys.argv[1:])

    _guard(task, project)


def command(file: str, work: Callable[..., None], defaults: dict[str, str | None]) -> None:
    """Call `work` with a project's own `key=value` arguments; those without a default (None) must be given."""
    wanted = " ".join(f"{key}={'...' if value is None else value}" for key, value in defaults.items())
    needed = [key for key, value in defaults.items() if value is None]
    if {"-h", "--help"} & set(sys.argv[1:]) or (needed and len(sys.argv) == 1):
        print(_help(file, work, defaults))
        sys.exit(0 if len(sys.argv) > 1 else 2)

    def task() -> None:
        given = dict(word.partition("=")[::2] for word in sys.argv[1:])
        for key in given.keys() - defaults.keys():
            raise UserError("unknown argument", key, f"the arguments are {wanted}")
        for key in [key for key in needed if not given.get(key)]:
            raise UserError("missing argument", key, f"give {key}=...")
        work(**{**defaults, **given})

    _guard(task, Path(file).resolve().parent.name)


def _help(file: str, work: Callable[..., None], defaults: dict[str, str | None]) -> str:
    """What a command does, how it is called, and what its arguments are without being given."""
    about = inspect.cleandoc(getattr(sys.modules[work.__module__], "__doc__", "") or "")
    needed = " ".join(f"{key}=..." for key, value in defaults.items() if value is None)
    rows = [
        f"  {key:<12} {'needed' if value is None else value or '(none)'}" for key, value in defaults.items()
    ]
    usage = f"  python {Path(file).name} {needed}".rstrip()
    return "\n\n".join(
        [about, inspect.cleandoc(work.__doc__ or ""), usage, "key=value, by default:\n" + "\n".join(rows)]
    )


def number(key: str, given: str, low: int, high: int, say: str) -> int:
    """A whole number that was given as `key=...`; `say` is one that will do."""
    if not given.isdecimal() or not low <= int(given) <= high:
        raise UserError(f"{given!r} is no number from {low} to {high}", key, f"say {say}")
    return int(given)


def _main(task: Callable[[DictConfig], Any], project: str) -> None:
    config = str(ROOT / "conf")
    _guard(hydra.main(version_base="1.3", config_path=config, config_name=project)(task), project)
    if "shared.sweeps.table" in sys.modules and (code := sys.modules["shared.sweeps.table"].exit_code()):
        sys.exit(code)


def words(file: str, work: Callable[[list[str]], None]) -> None:
    """Call `work` with the words of the command line; a command of its own beside train and evaluate."""
    _guard(lambda: work(sys.argv[1:]), Path(file).resolve().parent.name)


def _guard(command: Callable[[], Any], project: str) -> None:
    """Run a command; errors that a user can mend become one line."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions reach us instead of being printed by Hydra
    os.environ.setdefault(
        "NO_ALBUMENTATIONS_UPDATE", "1"
    )  # albumentations asks the network at import otherwise
    try:
        for word in sys.argv[1:]:  # Hydra and a sweep write words down before a config is checked
            key, _, value = word.partition("=")
            refuse_password(value, key)
            for option in value.split(","):
                check_choices(project, {key: option})
        command()
    except InstantiationException:
        raise
    except USER_ERRORS as error:
        _exit(_explain(error, project))


def _in_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _say(error: UserError) -> None:
    sys.stdout.flush()
    print("error:", " ".join(str(error).split()), file=sys.stderr, flush=True)


def _exit(error: UserError) -> NoReturn:
    _say(error)
    sys.exit(2)


def _explain(error: Exception, project: str) -> UserError:
    """Hydra's and OmegaConf's messages, in one line that names the key and the way out."""
    if isinstance(error, UserError):
        return error
    text = str(error)
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        close = difflib.get_close_matches(key, _known_keys(project), n=1, cutoff=0.6)
        hint = "--help lists the overrides; +key=value adds a new one"
        if close:
            hint = f"+{key}=... adds to it" if close[0] == key else f"did you mean {close[0]}=...?"
        return UserError("unknown override", key, hint)
    if found := re.search(
        r"Could not find '([^']+)'\s+Available options in '[^']+':\s+(.+)", text, re.DOTALL
    ):
        group, _, option = found[1].rpartition("/")
        options = ", ".join(usable(project, group) or found[2].split("Config search path")[0].split())
        return UserError(f"there is no {group} '{option}'", f"{group}={option}", f"choose one of {options}")
    if isinstance(error, MissingMandatoryValue):
        return UserError("a value is needed", error.full_key, f"give {error.full_key}=...")
    key = getattr(error, "override", None) or getattr(error, "full_key", None) or "command line"
    return UserError(
        text.splitlines()[0] if text else type(error).__name__, key, "--help lists the overrides"
    )


def _known_keys(project: str) -> list[str]:
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return list(_flatten(hydra.compose(project)))


def _flatten(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in node:
        name = f"{prefix}{key}"
        yield name
        if OmegaConf.is_dict(child := node._get_node(key)):
            yield from _flatten(child, f"{name}.")
