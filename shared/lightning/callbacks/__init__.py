"""Lightning callbacks that handle tensors."""
