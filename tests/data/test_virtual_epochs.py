"""`samples_per_epoch` in real runs: an endless stream that loses nothing at the seams and resumes anywhere."""

from collections import Counter

import lightning
import pytest

from tests.fit.small_run import SAMPLES, Points, equal, fit

VIRTUAL = 20  # of 48 samples, in batches of 8: epochs of 16


def indices(data):
    return [key.index for key in data.seen]


def test_every_sample_is_seen_once_before_any_is_seen_twice(tmp_path):
    data = Points()
    task = fit(tmp_path, data=data, epochs=7, samples_per_epoch=VIRTUAL)
    assert task.global_step == 7 * 2
    stream = indices(data)
    assert len(stream) == 7 * 16
    for passed in range(2):
        assert sorted(stream[passed * SAMPLES : (passed + 1) * SAMPLES]) == list(range(SAMPLES))
    assert stream[:SAMPLES] != stream[SAMPLES : 2 * SAMPLES]
    assert set(Counter(stream).values()) == {2, 3}
    assert len(set(data.seen)) == len(stream)  # so no augmentation is drawn twice


@pytest.mark.parametrize("at", [(2, 0), (3, 1), (4, 0)], ids=["within", "at an end", "after a pass"])
def test_it_goes_on_exactly_where_it_stopped(tmp_path, at):
    data = Points()
    whole = fit(tmp_path / "a", data=data, epochs=6, samples_per_epoch=VIRTUAL)

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer, task, out, batch, batch_idx):
            if (trainer.current_epoch, batch_idx) == at:
                trainer.save_checkpoint(tmp_path / "stop.ckpt", weights_only=False)
                raise KeyboardInterrupt

    before, after = Points(), Points()
    with pytest.raises(SystemExit):
        fit(tmp_path / "b", data=before, epochs=6, samples_per_epoch=VIRTUAL, callbacks=[Stop()])
    resumed = fit(
        tmp_path / "b", data=after, epochs=6, samples_per_epoch=VIRTUAL, resume=tmp_path / "stop.ckpt"
    )
    done = 8 * (2 * at[0] + at[1] + 1)
    assert indices(before)[:done] + indices(after)[-(len(data.seen) - done) :] == indices(data)
    assert equal(whole.state_dict(), resumed.state_dict())
