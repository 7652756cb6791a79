"""The watch over other ranks; that one which is killed ends the others is tested with the ranks themselves."""

import lightning

from shared.lightning.launcher import watch_ranks
from shared.processes.lost_rank import Watch


def test_a_run_of_one_process_outlives_the_shell_that_started_it():
    trainer = lightning.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    assert watch_ranks(trainer, lambda lost: None) is None


def test_who_does_not_end_by_itself_in_time_is_ended():
    said = []
    watch = Watch(lambda: "rank 1 has died", said.append, grace=0.01)
    watch.start()
    watch.join(5)
    assert said == [watch.said] == ["rank 1 has died"]
