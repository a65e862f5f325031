"""Models: one folder each, with `build(config, ...)` in its `model.py`.

A model does not depend on data or tracking. Its inputs are raw `uint8` pixels, or the raw columns
of a table, so training and serving have the same preprocessing.
"""

import os

# TensorFlow reads these when it is imported; no module here imports it at module level. oneDNN is
# off by default on CPUs without AVX-512, and makes a training step 1.6 times faster there.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A GPU is shared with others, and float32 means float32: no TF32, whose mantissa has 10 bits.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
