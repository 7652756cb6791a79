"""Straightens bent lines: a spatial transformer with thin-plate splines (Shi et al. 2016, arXiv 1603.03915).

A small network says where points along the upper and the lower edge of the line lie in the image; a thin-plate spline
carries them to their places in the straight line, and all that lies between with them.
"""

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

POINTS = 20  # half of them along each edge
SEEN = (32, 64)  # pixels of the small image that the points are found in
INNER, OUTER = (
    0.05,
    0.01,
)  # distance from the border: of the points in the straight line, and in the image at first


class ConvNorm(nn.Sequential):
    """A 3 x 3 convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        normal = nn.initializer.Normal(std=(2 / (9 * outputs)) ** 0.5)
        convolution = nn.Conv2D(inputs, outputs, 3, padding=1, weight_attr=normal)
        super().__init__(convolution, nn.BatchNorm2D(outputs), nn.ReLU())


class Locate(nn.Layer):
    """Images (N, 3, 32, 64) -> the points (N, POINTS, 2) as x, y in 0 ... 1, at first those of an even frame."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Layer] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 128), (128, 256), (256, 256)):
            layers += [ConvNorm(inputs, outputs), nn.MaxPool2D(2)]
        self.stn_convnet = nn.Sequential(*layers, ConvNorm(256, 256))
        small = nn.initializer.Normal(std=0.001)
        self.stn_fc1 = nn.Sequential(nn.Linear(512, 512, weight_attr=small), nn.BatchNorm1D(512), nn.ReLU())
        self.stn_fc2 = nn.Linear(
            512,
            2 * POINTS,
            weight_attr=nn.initializer.Constant(0.0),
            bias_attr=nn.initializer.Assign(frame(OUTER).ravel().astype(np.float32)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stn_fc1(self.stn_convnet(x).flatten(1))
        return self.stn_fc2(0.1 * x).reshape([-1, POINTS, 2])


class Rectify(nn.Layer):
    """Images (N, 3, H, W) -> straightened ones (N, 3, height, width)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.stn_head = Locate()
        self.spline = paddle.to_tensor(spline(height, width).astype(np.float32))

    def forward(self, image: Tensor) -> Tensor:
        points = self.stn_head(F.interpolate(image, size=SEEN, mode="bilinear", align_corners=True))
        places = paddle.matmul(self.spline, points).clip(0, 1).reshape([-1, *self.size, 2])
        return F.grid_sample(image, 2 * places - 1, align_corners=True)


def frame(margin: float) -> np.ndarray:
    """POINTS along the upper edge and then along the lower one, `margin` away from the border: (POINTS, 2) of x, y."""
    x = np.linspace(margin, 1 - margin, POINTS // 2)
    return np.concatenate([np.stack([x, np.full_like(x, y)], 1) for y in (margin, 1 - margin)])


def spline(height: int, width: int) -> np.ndarray:
    """The thin-plate spline through the straight line's points as a matrix (height * width, POINTS).

    Times the points' places in the image it gives the place of every pixel (Bookstein 1989).
    """
    fixed = frame(INNER)
    system = np.zeros((POINTS + 3, POINTS + 3))
    system[:POINTS] = basis(fixed, fixed)
    system[POINTS:, :POINTS] = system[:POINTS, POINTS:].T
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return basis(np.stack([x.ravel(), y.ravel()], 1), fixed) @ np.linalg.inv(system)[:, :POINTS]


def basis(places: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """r^2 log r to each fixed point, 1, x and y: (places, POINTS + 3)."""
    squares = ((places[:, None] - fixed) ** 2).sum(2)
    bent = 0.5 * squares * np.log(np.where(squares > 0, squares, 1))
    return np.concatenate([bent, np.ones((len(places), 1)), places], 1)
