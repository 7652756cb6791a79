"""Thai text lines, read with CTC; trains on PaddlePaddle."""
