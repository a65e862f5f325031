"""Datasets: folders of data that keep a contract, whatever they come from.

A dataset is a folder `datasets/<name>/` with `dataset.py`, whose `build(config, cache)` answers
with verified data, and a file `conf/dataset/<name>.yaml`. What they share is in
`datasets.common`.
"""
