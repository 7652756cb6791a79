"""The ResNet of this project, fresh or from a weights file."""

from shared.errors import UserError
from shared.nets.resnet import STAGES, ResNet
from shared.nets.weights import RESNET_CLASSIFIER, load_weights


def resnet(
    depth: int = 50,
    num_classes: int = 1000,
    blurpool: bool = False,
    zero_init_residual: bool = False,
    weights: str | None = None,
) -> ResNet:
    """A ResNet for images (N, 3, H, W); `weights` is a file of weights of any layout, or a run folder."""
    if depth not in STAGES:
        raise UserError(f"no ResNet-{depth}", "model.depth", f"choose one of {', '.join(map(str, STAGES))}")
    model = ResNet(depth, num_classes, blurpool, zero_init_residual)
    if weights is not None:
        load_weights(model, weights, RESNET_CLASSIFIER)
    return model
