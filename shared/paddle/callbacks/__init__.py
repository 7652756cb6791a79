"""The callbacks that handle tensors; all others serve both frameworks from shared/callbacks."""
