"""The policies are plain Python: importing them brings in no framework."""

import subprocess
import sys

PROBE = """
import importlib, pkgutil, sys
import shared.policy
for module in pkgutil.iter_modules(shared.policy.__path__):
    importlib.import_module(f"shared.policy.{module.name}")
heavy = {"torch", "paddle", "lightning", "hydra", "numpy", "omegaconf", "fsspec"}
print(" ".join(sorted(heavy & set(sys.modules))))
"""


def test_no_policy_imports_a_framework():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
