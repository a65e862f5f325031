"""efficientnetliteft on kvasir4, version 1: see `pipeline`."""
