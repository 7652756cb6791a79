"""The five projects: each a train.py, evaluate.py, task.py, model.py and data.py."""
