"""What datasets share, one subject a module.

Of all:

- `types`: `Dataset`, what a verified set of images and a verified table have in common
- `fetching`: downloads and archives from elsewhere, safely; atomic files, and locks

Of images:

- `images`: the reader, any image file to RGB, DICOM too, or a reason why not; services have it too
- `folders`, `manifest`: class folders as a table, and the file that may describe them
- `samples`: a generated set on disk
- `digests`: identity, near-duplicate clusters, and their cache
- `contract`: `Images`, and what is verified before anything trains
- `sources`: the four sources, put together

Of tables:

- `tables`: the CSV reader, the contract of a table, `Table`, and what is verified

A dataset of images is then a few lines:

```python
def build(config: ImageDataset, cache: Path) -> Images:
    return load(config, cache, draw)
```
"""
