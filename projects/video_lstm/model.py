"""A ResNet for each frame, a bidirectional LSTM over the frames, attention pooling, three classifiers."""

import logging
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from shared.errors import UserError
from shared.nets.resnet import STAGES, ResNet
from shared.nets.weights import RESNET_CLASSIFIER, load_weights

log = logging.getLogger(__name__)


class Logits(NamedTuple):
    """Each (N, classes): of the frames' features, of the sequence, of both together; the last one is the answer."""

    spatial: Tensor
    temporal: Tensor
    combined: Tensor


class AttentionPool(nn.Module):
    """Mean over time weighted by softmax(MLP(x)): (N, T, D) -> (N, D) (Bahdanau et al. 2014, arXiv:1409.0473)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.score(x).softmax(1) * x).sum(1)


class BidirectionalLSTM(nn.LSTM):
    """(N, T, spatial) -> (N, T, 2 * temporal)."""

    def __init__(self, spatial: int, temporal: int, layers: int, dropout: float) -> None:
        super().__init__(spatial, temporal, layers, batch_first=True, dropout=dropout, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0]


class PerFrame(nn.Sequential):
    """The LSTM's shape and, within one hidden unit, its size, but each frame by itself: no order, no neighbours."""

    def __init__(self, spatial: int, temporal: int, layers: int, dropout: float) -> None:
        with torch.device("meta"):
            size = count(BidirectionalLSTM(spatial, temporal, layers, dropout))
        hidden = round((size - 2 * temporal) / (spatial + 1 + 2 * temporal))
        parts = nn.Linear(spatial, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 2 * temporal)
        super().__init__(*parts)


class SelfAttention(nn.Module):
    """Multi-head attention among the frames with a residual, then LayerNorm; it does not know their order."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.attend(x, x, x, need_weights=False)[0])


class VideoLSTM(nn.Module):
    """Normalised clips (N, T, 3, H, W) -> Logits.

    `spatial` and `temporal`: widths of a frame's features and of the LSTM in each direction; `attention`: hidden
    units of both poolings; `attention_heads` adds self-attention after the LSTM; without `recurrent` each frame goes
    through a network of the LSTM's size alone. `checkpointing`: see ResNet.
    """

    def __init__(
        self,
        num_classes: int,
        depth: int = 18,
        width: int = 64,
        spatial: int = 512,
        temporal: int = 512,
        layers: int = 3,
        attention: int = 64,
        attention_heads: int = 0,
        dropout: float = 0.0,
        recurrent: bool = True,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(depth, num_classes, width=width, checkpointing=checkpointing)
        self.backbone.fc = nn.Identity()
        self.projection = nn.Linear(self.backbone.feature_dim, spatial)
        self.spatial_pool = AttentionPool(spatial, attention)
        self.sequence = (BidirectionalLSTM if recurrent else PerFrame)(spatial, temporal, layers, dropout)
        self.self_attention = (
            SelfAttention(2 * temporal, attention_heads) if attention_heads else nn.Identity()
        )
        self.temporal_pool = AttentionPool(2 * temporal, attention)
        self.temporal_projection = nn.Sequential(nn.Linear(2 * temporal, spatial), nn.LayerNorm(spatial))
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(spatial, num_classes) for name in Logits._fields})

    def forward(self, clip: Tensor) -> Logits:
        frames = self.projection(self.backbone.features(clip.flatten(0, 1))).unflatten(0, clip.shape[:2])
        spatial = self.spatial_pool(frames)
        temporal = self.temporal_pool(self.self_attention(self.sequence(frames)))
        temporal = self.temporal_projection(temporal)
        pooled = {"spatial": spatial, "temporal": temporal, "combined": spatial + temporal}
        return Logits(**{name: head(self.dropout(pooled[name])) for name, head in self.heads.items()})


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def video_lstm(num_classes: int, weights: str | None = None, **sizes: Any) -> VideoLSTM:
    """A VideoLSTM; `weights` is a file or run folder with a ResNet for its backbone."""
    if sizes.get("depth", 18) not in STAGES:
        raise UserError(
            f"no ResNet-{sizes['depth']}", "model.depth", f"choose one of {', '.join(map(str, STAGES))}"
        )
    model = VideoLSTM(num_classes, **sizes)
    if weights is not None:
        load_weights(model.backbone, weights, RESNET_CLASSIFIER)
    parts = ", ".join(f"{name} {count(part):,}" for name, part in model.named_children() if count(part))
    log.info("model        %s", parts)
    return model
