"""The training loss of images that are mixed with each other."""

import pytest
import torch
from torch import nn

from projects.imagenet_resnet.task import Classification


class Data:
    num_classes = 3


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_the_target_is_mixed_as_the_image_is(options):
    """Image i is all i: what is left of it in the mixture is its share of the target."""
    task = Classification(nn.Identity(), Data(), **options)
    label = torch.arange(3)
    image = label.float().view(3, 1, 1, 1).expand(3, 3, 16, 16)
    torch.manual_seed(0)
    for _ in range(20):
        mixed, target = task.mix(image, label)
        torch.testing.assert_close(target.sum(1), torch.ones(3))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), target @ torch.arange(3.0), atol=1e-5, rtol=0)
        assert target.diagonal().unique().numel() == 1  # one share for all
