"""Where this clone lies, and the resolvers that the files in `conf/` use."""

from pathlib import Path

from omegaconf import OmegaConf

from shared.config.gpus import detected_profile
from shared.processes.ranks import run_name

ROOT = Path(__file__).resolve().parents[2]
OmegaConf.register_new_resolver("root", lambda path: str(ROOT / path), replace=True)
OmegaConf.register_new_resolver("detected_hardware", detected_profile, replace=True)
OmegaConf.register_new_resolver("run_name", run_name, replace=True, use_cache=True)
