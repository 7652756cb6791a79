"""The rails on PaddlePaddle: the same policies, the same run folder, no torch."""

import logging
import sys
import warnings
from types import ModuleType

for noise in ("No ccache found", "When training, we now always track"):
    warnings.filterwarnings("ignore", message=noise)
_level = logging.root.level
import paddle  # noqa: E402, F401 (here, since its import silences the root logger)

logging.root.setLevel(_level)

# What paddlex downloads with: nothing is downloaded here, and it would import torch where that is installed.
sys.modules.setdefault("modelscope", ModuleType("modelscope"))
