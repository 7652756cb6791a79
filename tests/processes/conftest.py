from tests.fit.command_run import interrupt, train, whole

__all__ = ["interrupt", "train", "whole"]
