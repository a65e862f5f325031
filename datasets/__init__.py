"""Datasets: data that is verified against a contract, whatever its source.

A dataset is a folder `datasets/<name>/` and a file `conf/dataset/<name>.yaml`. In the folder,
`dataset.py` has `build(config, cache)`, which returns the verified data; `common.py` describes the
dataset; `synthetic.py` draws a sample. Code that datasets share is in `datasets.common`.
"""
