"""Speaker verification: a loss over training speakers, error rates over trials of speakers never heard."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from projects.voxceleb.trials.metrics import batch_eer, error_rates
from projects.voxceleb.trials.protocol import Protocol, as_norm, score_pairs
from projects.voxceleb.trials.trials import Trials, draw_trials
from projects.voxceleb.weights import embedder_state
from shared.errors import UserError
from shared.files import local_path, write_atomically
from shared.lightning.task import Batch, Task
from shared.record.outlets import errors_logged

COHORT_UTTERANCES = 4  # of each training speaker, averaged


class SpeakerVerification(Task):
    """Trains `wave` (S, U, samples) with `label` (S,) by `loss`; validates whole utterances by `eval`.

    `train/acc` is the accuracy of the cosines without the margin, `train/margin_acc` with it, `train/eer` that of
    all pairs within a (micro) batch. The margin grows over `margin_warmup_epochs`. The threshold of the last equal
    error rate is a buffer, `threshold`, and so in every checkpoint. Without a `loss` it only scores trials, and the
    data need no training speakers.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Any,
        loss: Callable[..., nn.Module] | None,
        eval: Protocol,
        margin_warmup_epochs: float = 0.0,
    ) -> None:
        parts = {"embedder": model}
        if loss is not None:
            parts["head"] = head = loss(embedding=model.embedding, speakers=data.num_speakers)
            if data.n_per_speaker < head.min_utterances:
                raise UserError(
                    f"{type(head).__name__} compares utterances of one speaker",
                    "data.n_per_speaker",
                    f"set {head.min_utterances} or more",
                )
        super().__init__(nn.ModuleDict(parts))
        if eval.as_norm:
            _ = data.train  # the cohort: if there is none, say so before all is embedded
        self.compares_samples = loss is not None and head.compares_samples
        self.data, self.protocol, self.margin_warmup_epochs = data, eval, margin_warmup_epochs
        self.register_buffer("threshold", torch.zeros(()))
        self.embedded: list[tuple[Tensor, Tensor]] = []

    def forward(self, wave: Tensor) -> Tensor:
        """Embeddings (N, D) of waves (N, samples)."""
        return self.model["embedder"](wave)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        wave, head = batch["wave"], self.model["head"]
        embedding = self(wave.flatten(0, 1)).float().unflatten(0, wave.shape[:2])
        head.warmup = self.margin_warmup()
        with torch.autocast(wave.device.type, enabled=False):
            loss, means = head(embedding, batch["label"])
        eer = batch_eer(embedding)
        return loss, means if eer is None else {**means, "eer": eer}

    def margin_warmup(self) -> float:
        """Share of the margin in force: a function of the step alone, so that a resumed run has the same."""
        steps = self.margin_warmup_epochs * self.rails.schedule.steps_per_epoch
        return min(1.0, self.global_step / steps) if steps else 1.0

    def on_train_start(self) -> None:
        self.columns["data/utilisation"] = self.rails.sampler.utilisation

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        index, wave = batch["index"].flatten(), batch["wave"]
        if isinstance(wave, Tensor):  # crops of training tuples: evaluate.py split=train
            rows = F.normalize(self(wave.flatten(0, 1)).float())[:, None]
        else:
            rows = self.protocol.embed(self, [each.to(self.device) for each in wave])
        self.embedded.append((index, rows))

    def on_validation_epoch_end(self) -> None:
        trials, table = self.trials(), self.gathered()
        pairs, target = torch.from_numpy(trials.pairs), torch.from_numpy(trials.target)
        scores = score_pairs(table, pairs)
        if self.protocol.as_norm:
            scores = as_norm(scores, table, pairs, self.cohort(), self.protocol.as_norm)
        rates = error_rates(scores, target)
        eer, threshold = rates.eer()
        self.threshold.fill_(threshold)
        found = {
            "eer": eer,
            "min_dcf": rates.min_dcf(0.01),
            "min_dcf_p05": rates.min_dcf(0.05),
            "trials": float(len(target)),
            "targets": float(target.sum()),
        }
        self.log_dict({f"val/{name}": value for name, value in found.items()}, sync_dist=True)  # ranks agree
        self.write_scores(trials, scores)

    def trials(self) -> Trials:
        """The trials of what was validated; for the training set, trials drawn from it."""
        dataset = self.trainer.val_dataloaders.dataset
        if hasattr(dataset, "trials"):
            return dataset.trials
        few = min(len(dataset), 2000)  # pairs grow with the square
        return draw_trials(dataset.paths[:few].tolist(), dataset.speakers[:few], 10_000, seed=0)

    def gathered(self) -> Tensor:
        """Unit embeddings (N, C, D) of all utterances, of all ranks, on the processor; raises UserError on NaN."""
        index, rows = (torch.cat(parts) for parts in zip(*self.embedded, strict=True))
        self.embedded = []
        index = self.all_gather(index.to(self.device)).flatten().cpu()
        rows = self.all_gather(rows).reshape(len(index), *rows.shape[1:]).cpu()
        bad = index[~rows.isfinite().flatten(1).all(1)]
        if len(bad):
            first = self.trials().utterances[bad[0]]
            raise UserError(
                f"{len(bad)} of {len(index)} embeddings are not finite, the first that of {first}",
                "model",
                "the weights have gone bad: lower optimizer.lr, set clip_norm, or resume an older checkpoint",
            )
        table = rows.new_zeros(int(index.max()) + 1, *rows.shape[1:])
        table[index] = rows
        return table

    @torch.no_grad()
    def cohort(self) -> Tensor:
        """Unit embeddings (K, D) of the training speakers, each a mean over a few whole utterances."""
        return torch.stack([self.speaker_mean(waves) for waves in self.data.cohort(COHORT_UTTERANCES)])

    def speaker_mean(self, waves: list[Tensor]) -> Tensor:
        return F.normalize(
            self.protocol.embed(self, [w.to(self.device) for w in waves]).mean(0)[0], dim=0
        ).cpu()

    def write_scores(self, trials: Trials, scores: Tensor) -> None:
        """Lines `score target a b`: to `eval.scores`, or beside a training run's metrics."""
        place = local_path(self.protocol.scores, "eval.scores") if self.protocol.scores else None
        if place is None and hasattr(self, "rails"):
            place = self.rails.folder.path / "scores.txt"
        if place is None or self.global_rank:
            return
        names, rows = (
            trials.utterances,
            zip(scores.tolist(), trials.target, trials.pairs.tolist(), strict=True),
        )
        lines = (f"{score:.6f} {int(target)} {names[a]} {names[b]}\n" for score, target, (a, b) in rows)
        with nullcontext() if self.protocol.scores else errors_logged("scores.txt"):
            write_atomically(place, "".join(lines))

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, **options: Any) -> Any:
        """A checkpoint of ours; a network alone, such as a published one, leaves the loss as it is.

        A task without a loss leaves out the checkpoint's, which is as large as the speakers it was trained on.
        """
        if not any(name.startswith("model.head.") for name in state):
            bare = {name.removeprefix("model."): tensor for name, tensor in state.items()}
            fresh = {f"model.embedder.{name}": tensor for name, tensor in embedder_state(bare).items()}
            state = super().state_dict() | fresh
        if "head" not in self.model:
            state = {name: tensor for name, tensor in state.items() if not name.startswith("model.head.")}
        return super().load_state_dict(state, strict, **options)
