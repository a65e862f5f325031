"""What image datasets share, one subject a module.

- `images`: any image file to RGB, or a reason why not
- `folders`: class folders and manifests as a table
- `archives`, `download`: archives from elsewhere, safely
- `samples`: a generated set on disk
- `digests`: identity, near-duplicate clusters, and their cache
- `contract`: what is verified before anything trains
- `sources`: the four sources, put together

A dataset of images is then a few lines:

```python
def build(config: DictConfig, cache: Path) -> Images:
    return load(config, cache, draw)
```
"""
