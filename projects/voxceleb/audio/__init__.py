"""Recordings, spectra, and their augmentation."""
