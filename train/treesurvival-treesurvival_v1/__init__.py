"""treesurvival on treesurvival, version 1: see `pipeline`."""
