"""The rails on PaddlePaddle: the same policies, the same run folder, no torch."""

import logging

_level = logging.root.level
import paddle  # noqa: E402, F401 (here, since its import silences the root logger)

logging.root.setLevel(_level)
