"""Hydra looks for launchers and sweepers in packages of this name only; imported whenever Hydra starts, so light."""
