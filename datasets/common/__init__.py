"""What datasets share, one subject a module.

Of images:

- `images`: the reader, any image file to RGB, DICOM too, or a reason why not; services have it too
- `folders`: class folders and manifests as a table
- `archives`, `download`: archives from elsewhere, safely
- `samples`: a generated set on disk
- `digests`: identity, near-duplicate clusters, and their cache
- `contract`: what is verified before anything trains
- `sources`: the four sources, put together

Of tables, which come from one CSV file:

- `tables`: reading it, its contract, what is verified

A dataset of images is then a few lines:

```python
def build(config: DictConfig, cache: Path) -> Images:
    return load(config, cache, draw)
```
"""
