"""What torchrun and srun say in the environment: the rank, and a name that all ranks give the run."""

import time

import pytest
from torch.distributed import TCPStore

from shared.errors import UserError
from shared.processes import ranks

SRUN = {
    "SLURM_NTASKS": "4",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "77",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "mine", "RANK": "5", "LOCAL_RANK": "1", "GROUP_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "rank", "name"),
    [
        ({}, 0, "2026"),
        ({"LOCAL_RANK": "1"}, 1, "2026"),
        (SRUN, 3, "slurm_77_0"),
        ({"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, 0, "2026"),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 0, "2026"),  # in a batch script, not under srun
        (TORCHRUN, 5, "torchrun_mine"),
    ],
)
def test_rank_and_name(environment, rank, name, monkeypatch):
    monkeypatch.setattr(ranks.time, "time", lambda: time.mktime((2026, 1, 1, 0, 0, 0, 0, 0, -1)))
    assert ranks.rank(environment) == rank
    assert ranks.run_name("%Y", environment) == name


def test_the_processes_of_one_torchrun_share_its_beginning(monkeypatch):
    monkeypatch.setattr(ranks, "torchrun_began", lambda: 86400.0 * 365)
    assert ranks.run_name("%Y", {"TORCHELASTIC_RUN_ID": "none", "GROUP_WORLD_SIZE": "1"}) in ("1970", "1971")


def test_nodes_without_a_common_name_are_refused():
    with pytest.raises(UserError, match="rdzv-id"):
        ranks.run_name("%Y", {**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"})


@pytest.mark.parametrize("restarts", ["0", "2"])
def test_other_ranks_hear_what_the_first_has_told(monkeypatch, restarts):
    agent = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {**TORCHRUN, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(agent.port)}
    for name, value in {**told, "TORCHELASTIC_RESTART_COUNT": restarts}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "_store", [])
    monkeypatch.delenv(ranks.CHECKPOINT, raising=False)
    ranks.tell("/runs/last.ckpt")
    assert ranks.told() == "/runs/last.ckpt"
