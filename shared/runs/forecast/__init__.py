"""Learning-curve forecasts that know the learning-rate schedule."""
