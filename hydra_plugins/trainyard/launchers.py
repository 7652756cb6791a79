"""Launchers that give each job of a sweep a process of its own: on this machine, on a Ray cluster, under Slurm.

A job is the command that one could type: `train.py <overrides> run_dir=<its folder>`. So it may use DDP, be killed
without harm to the others, and goes on from its checkpoint when the sweep is started again with the same run_dir.
"""

import signal
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from shared.errors import UserError
from shared.sweeps.job import Job


class CommandLauncher(Launcher):
    """Makes the commands, has them run, and turns what they leave into the results that a sweeper reads."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config_loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [self.job(list(each), initial_job_idx + n) for n, each in enumerate(job_overrides)]
        for job in jobs:
            print(f"sweep: {job.folder.name}: {' '.join(job.overrides)}", flush=True)
        folder = Path(self.config.hydra.sweep.dir).resolve()
        before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            endings = self.run([job.prepare() for job in jobs], folder)
        finally:
            signal.signal(signal.SIGTERM, before)
        values = [job.settle(ending) for job, ending in zip(jobs, endings, strict=True)]
        return [
            JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED, _return_value=value)
            for job, value in zip(jobs, values, strict=True)
        ]

    def job(self, overrides: list[str], number: int) -> Job:
        config = self.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        folder = Path(config.hydra.sweep.dir).resolve() / config.hydra.sweep.subdir
        return Job(Path(sys.argv[0]).resolve(), folder, tuple(filter_overrides(overrides)))

    @abstractmethod
    def run(self, commands: list[list[str]], folder: Path) -> list[int | str]:
        """Exit codes of all commands, or in words why there is none; `folder` is the sweep's."""


class JoblibLauncher(CommandLauncher):
    """`n_jobs` at a time on this machine; with `gpus`, as many as there are, each with one of these GPUs to itself."""

    def __init__(self, n_jobs: int, gpus: list[int]) -> None:
        self.n_jobs, self.gpus = len(gpus) or n_jobs, list(gpus)

    def run(self, commands: list[list[str]], folder: Path) -> list[int | str]:
        from joblib import Parallel, delayed

        free: SimpleQueue[Any] = SimpleQueue()
        for gpu in self.gpus or [None] * self.n_jobs:
            free.put(gpu)
        children: list[subprocess.Popen] = []

        def call(command: list[str]) -> int:
            gpu = free.get()
            words = [] if gpu is None else ["env", f"CUDA_VISIBLE_DEVICES={gpu}"]
            with subprocess.Popen([*words, *command]) as child:
                children.append(child)
            free.put(gpu)
            return child.returncode

        try:
            return Parallel(self.n_jobs, prefer="threads")(delayed(call)(each) for each in commands)
        except SystemExit:
            for child in children:
                child.terminate()  # saves its run, as after the Ctrl-C that reaches all of them by itself
            raise
        finally:
            for child in children:
                child.wait()


class RayLauncher(CommandLauncher):
    """On the Ray cluster at `address` (null: one on this machine, for the sweep); `num_cpus`, `num_gpus` per job."""

    def __init__(self, address: str | None, num_cpus: float, num_gpus: float) -> None:
        self.address, self.needs = address, {"num_cpus": num_cpus, "num_gpus": num_gpus}

    def run(self, commands: list[list[str]], folder: Path) -> list[int | str]:
        import ray

        ray.init(self.address, ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
        call = ray.remote(subprocess.call).options(max_retries=0, **self.needs)
        endings: list[int | str] = []
        for waiting in [call.remote(command) for command in commands]:
            try:
                endings.append(ray.get(waiting))
            except ray.exceptions.RayError as error:
                endings.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
        return endings


class SlurmLauncher(CommandLauncher):
    """Each job in Slurm's queue, through submitit; the settings are those of its AutoExecutor.

    `additional` are further sbatch options; the batch scripts and their logs lie in `<sweep>/slurm`.
    """

    def __init__(self, poll_seconds: float, additional: dict[str, Any], **settings: Any) -> None:
        given = {name: value for name, value in settings.items() if value is not None}
        self.settings = {**given, "slurm_additional_parameters": dict(additional)}
        self.poll_seconds = poll_seconds

    def run(self, commands: list[list[str]], folder: Path) -> list[int | str]:
        import cloudpickle
        import submitit

        # submitit's process on the node cannot import this checkout: call_and_save goes as code, not as a name
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        try:
            executor = submitit.AutoExecutor(folder / "slurm", cluster="slurm")
        except RuntimeError as error:
            mend = "start the sweep on a machine with sbatch, or choose hydra/launcher=joblib"
            raise UserError(str(error), "hydra/launcher=slurm", mend) from error
        executor.update_parameters(**self.settings)
        jobs = executor.map_array(call_and_save, commands)
        try:
            while queued([job.job_id for job in jobs]):
                time.sleep(self.poll_seconds)
        except BaseException:
            subprocess.call(["scancel", *(job.job_id for job in jobs)])
            raise
        return [ending(job) for job in jobs]


def call_and_save(command: list[str]) -> int:
    """Run a command within a submitit job: SIGUSR2, which comes before the time is up, ends it by SIGTERM, saved.

    Slurm sends it to the command, too, and submitit's own handler raises, whereupon `subprocess.call` kills.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # which the command inherits
    child = subprocess.Popen(command)
    signal.signal(signal.SIGUSR2, lambda number, frame: child.terminate())
    return child.wait()


def queued(numbers: list[str]) -> bool:
    """Whether Slurm still has any of these jobs; asked of squeue, since many clusters keep no accounts for sacct."""
    asked = ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(numbers)}"]
    answer = subprocess.run(asked, capture_output=True, text=True)
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return True  # slurmctld is away for a moment: ask again
    return bool(answer.stdout.strip())


def ending(job: Any) -> int | str:
    """Exit code of a submitit job that has left the queue, or why there is none."""
    if not job.paths.result_pickle.exists():
        return f"Slurm job {job.job_id} ended without a result; see {job.paths.stderr}"
    try:
        return max(job.results(), key=abs)
    except Exception as error:
        return f"Slurm job {job.job_id}: {str(error).splitlines()[0]}"
