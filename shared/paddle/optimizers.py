"""Paddle's optimizers under the names and settings that `conf/optimizer` has from torch."""

from typing import Any

import paddle

Groups = list[dict[str, Any]]


def Adam(groups: Groups, lr: float, betas: tuple[float, float], weight_decay: float) -> paddle.optimizer.Adam:
    return paddle.optimizer.Adam(lr, *betas, parameters=groups, weight_decay=weight_decay)


def AdamW(
    groups: Groups, lr: float, betas: tuple[float, float], weight_decay: float
) -> paddle.optimizer.AdamW:
    return paddle.optimizer.AdamW(lr, *betas, parameters=groups, weight_decay=weight_decay)


def SGD(
    groups: Groups, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> paddle.optimizer.Momentum:
    return paddle.optimizer.Momentum(lr, momentum, groups, nesterov, weight_decay=weight_decay)
