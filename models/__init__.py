"""Models: one folder each, with `build(config, ...)` in its `model.py`.

A model knows neither data nor tracking. It starts at raw `uint8` pixels, or at the raw columns of a
table, so what is trained and what is served do the same preprocessing.
"""

import os

# Read by TensorFlow when it is imported, which nothing here does at module level. oneDNN is off by
# default on CPUs without AVX-512 and makes a training step 1.6 times faster there.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
