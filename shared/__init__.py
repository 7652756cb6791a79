"""What the five projects share: policies, callbacks, data, networks, the runner."""
