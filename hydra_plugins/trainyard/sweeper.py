"""A search by Optuna as a Hydra sweeper: hydra/sweeper=optuna, or sweep=optuna with all that goes with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """Tries `n_trials` settings, `n_jobs` at a time; jobs run wherever the launcher runs them.

    `params` are the default search space, which overrides on the command line replace key by key. The study lies in
    the sweep's folder: with the same run_dir, the search goes on, and first of all with jobs that were cut off.
    """

    def __init__(self, n_trials: int, n_jobs: int, params: DictConfig, sampler: Callable[..., Any]) -> None:
        self.n_trials, self.n_jobs, self.params, self.sampler = n_trials, n_jobs, params, sampler

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.config_loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from shared.sweeps.space import split, words
        from shared.sweeps.study import Study

        parser = OverridesParser.create(config_loader=self.config_loader)
        defaults = [f"{key}={value}" for key, value in self.params.items() if value is not None]
        fixed, space = split(parser.parse_overrides([*defaults, *arguments]))
        folder = Path(self.config.hydra.sweep.dir).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self.check(fixed, space)
        study = Study(folder, self.config.monitor.mode, self.config.seed, self.sampler)
        for trial in study.interrupted():
            print(f"sweep: job {trial.number} was cut off; on with it", flush=True)
            self.evaluate(study, [[*fixed, *words(trial.params)]], trial.number)
        while (left := self.n_trials - study.begun()) > 0:
            trials = [study.ask(space) for _ in range(min(self.n_jobs, left))]
            batch = [[*fixed, *words(trial.params)] for trial in trials]
            self.evaluate(study, batch, trials[0].number)
        if waiting := ", ".join(f"job_{trial.number}" for trial in study.interrupted()):
            print(f"sweep: interrupted: {waiting}; the same command goes on with them", flush=True)

    def check(self, fixed: list[str], space: dict[str, Any]) -> None:
        """Compose one job before any is tried: what is wrong with one is wrong with all."""
        import optuna

        from shared.sweeps.space import words

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask(space)
        self.config_loader.load_sweep_config(self.config, [*fixed, *words(trial.params)])

    def evaluate(self, study: Any, batch: list[list[str]], first: int) -> None:
        """Run the jobs from number `first` on, and tell the study what they came to."""
        self.launcher.launch(batch, initial_job_idx=first)
        for number in range(first, first + len(batch)):
            study.tell(number, study.folder / f"job_{number}")
