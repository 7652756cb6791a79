"""Speaker recognition on VoxCeleb; synthetic speech as the embedded default."""
