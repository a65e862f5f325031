"""efficientnetliteft on kidney2, version 1: see `pipeline`."""
