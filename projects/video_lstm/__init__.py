"""Video classification with a CNN and a bidirectional LSTM; moving digits as the embedded default."""
