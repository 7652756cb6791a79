"""Which process of a run this is, and what all of them must know before torch.distributed is up.

torchrun and srun start every rank at once; Lightning starts the others itself when rank 0 is ready to train.
"""

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.errors import UserError

CHECKPOINT = "TRAINYARD_CHECKPOINT"
WAIT = timedelta(days=1)  # rank 0 may have data to prepare
_store: list[Any] = []  # torch's TCPStore of rank 0: it must live as long as others read


def rank(environment: Mapping[str, str] = os.environ) -> int:
    """This process's rank as its launcher says; 0 for one alone."""
    names = ("RANK", "PADDLE_TRAINER_ID", "SLURM_PROCID" if under_srun(environment) else "LOCAL_RANK")
    return next((int(environment[name]) for name in names if name in environment), 0)


def under_srun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether srun has started this process as one of several."""
    return int(environment.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_ID" in environment


def under_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    return "TORCHELASTIC_RUN_ID" in environment


def run_name(pattern: str, environment: Mapping[str, str] = os.environ) -> str:
    """The time, as a run's name; or, for processes that begin each at its own time, what they share.

    A job that Slurm requeues and a torchrun that restarts have their name again, and so go on where they were.
    """
    if under_srun(environment):
        return f"slurm_{environment['SLURM_JOB_ID']}_{environment['SLURM_STEP_ID']}"
    identity = environment.get("TORCHELASTIC_RUN_ID", "none")
    if identity != "none":
        return f"torchrun_{identity}"
    if int(environment.get("GROUP_WORLD_SIZE", 1)) > 1:
        mend = "give run_dir=PATH, or torchrun --rdzv-id=NAME"
        raise UserError("the nodes have no name for this run in common", "run_dir", mend)
    began = torchrun_began() if under_torchrun(environment) else time.time()
    return time.strftime(pattern, time.localtime(began))


def torchrun_began() -> float:
    """When the torchrun that has started this process began, in seconds since 1970."""
    import psutil

    return psutil.Process(os.getppid()).create_time()


def tell(checkpoint: str) -> None:
    """Rank 0 says from which checkpoint the run goes on ('' for none), once its folder is in order."""
    os.environ[CHECKPOINT] = checkpoint
    if under_srun() or under_torchrun():
        meeting_point().set(attempt(), checkpoint)


def told() -> str:
    """What rank 0 has said; waits for it."""
    if under_srun() or under_torchrun():
        return meeting_point().get(attempt()).decode()
    return os.environ[CHECKPOINT]


def attempt() -> str:
    return f"{CHECKPOINT}_{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"


def meeting_point() -> Any:
    """torchrun's store; under srun one of our own, on the port after the one that Lightning will use."""
    from lightning.fabric.plugins.environments import SLURMEnvironment
    from torch.distributed import TCPStore

    if not _store:
        if under_torchrun():
            host, port, ours = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), False
        else:
            slurm = SLURMEnvironment(auto_requeue=False)
            host, port, ours = slurm.main_address, slurm.main_port + 1, rank() == 0
        _store.append(TCPStore(host, port, is_master=ours, timeout=WAIT, wait_for_workers=False))
    return _store[0]
