"""Five projects of one shape: train.py, evaluate.py, task.py, model.py, data.py."""
