"""Line images to learn from."""
