r"""Explain a Keras classifier: features, activations of its layers, and Grad-CAM.

Grad-CAM is computed by autograd here; the service has no TensorFlow and uses a closed form. With
\(A\) the feature map before pooling, \(Z = h w\) the number of its positions and \(y_c\) the score
of class \(c\) before the softmax,

$$
\alpha_k = \frac{1}{Z} \sum_{ij} \frac{\partial y_c}{\partial A_{ijk}},
\qquad
L_{ij} = \max\Big(0, \sum_k \alpha_k A_{ijk}\Big)
$$

(Selvaraju et al., *Grad-CAM*, ICCV 2017, equations 1 and 2). A test compares both.

A map that stays the same when the head is random shows edges of the image, not what the model has
learned (Adebayo et al., *Sanity Checks for Saliency Maps*, NeurIPS 2018): `with_random_head`.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from models.common import POOL, PROBABILITIES

if TYPE_CHECKING:
    import keras

BATCH = 32


def features(model: "keras.Model", pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, classes) and pooled features (N, C) of pixels uint8 (N, S, S, 3)."""
    import keras

    both = keras.Model(model.input, [model.output, model.get_layer(POOL).output])
    answers, pooled = both.predict(pixels, batch_size=BATCH, verbose=0)
    return answers, pooled


def grad_cam(model: "keras.Model", pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Grad-CAM (N, h, w), not normalised, for the class in `targets` (N,) of each image."""
    import keras

    last = model.get_layer(PROBABILITIES)
    head = keras.Model(model.get_layer(POOL).input, last.input)
    return _cams(feature_maps(model, pixels), head, last.kernel.numpy(), targets)


def with_random_head(
    model: "keras.Model", pixels: np.ndarray, targets: np.ndarray, seed: int
) -> np.ndarray:
    """The same maps (N, h, w) with new random weights of the head; `model` is not changed."""
    import keras

    keras.utils.set_random_seed(seed)
    last = model.get_layer(PROBABILITIES)
    head = keras.models.clone_model(keras.Model(model.get_layer(POOL).input, last.input))
    kernel = np.random.default_rng(seed).normal(size=last.kernel.shape).astype(np.float32)
    return _cams(feature_maps(model, pixels), head, kernel, targets)


def similarity(cams: np.ndarray, others: np.ndarray) -> float:
    """Mean rank correlation of maps (N, h, w); 1 for equal maps. A constant map correlates at 0."""
    ranks = [rankdata(each.reshape(len(each), -1), axis=1) for each in (cams, others)]
    one, two = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    products = (one * two).sum(axis=1)
    return float(np.divide(products, spread, out=np.zeros_like(spread), where=spread > 0).mean())


def feature_maps(model: "keras.Model", pixels: np.ndarray) -> np.ndarray:
    """The feature maps (N, h, w, C) before pooling; called as they are, which compiles nothing."""
    import keras

    until = keras.Model(model.input, model.get_layer(POOL).input)
    parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    return np.concatenate([np.asarray(until(part, training=False)) for part in parts])


def _cams(
    maps: np.ndarray, head: "keras.Model", kernel: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        seen = tf.constant(maps)
        tape.watch(seen)
        logits = head(seen, training=False) @ kernel  # the bias has no gradient here
        chosen = tf.gather(logits, targets, batch_dims=1)
    alpha = tf.reduce_mean(tape.gradient(chosen, seen), axis=(1, 2))  # (N, C)
    return np.maximum(np.einsum("nhwc,nc->nhw", maps, alpha.numpy()), 0)


def activations(model: "keras.Model", image: np.ndarray) -> dict[str, np.ndarray]:
    """Activations (h, w, C) of the last layer of each size for uint8 (S, S, 3), by layer name."""
    import keras

    learned = (keras.layers.Conv2D, keras.layers.Activation, keras.layers.ReLU, keras.layers.Add)
    last = {
        layer.output.shape[1]: layer
        for layer in model.layers
        if isinstance(layer, learned) and len(layer.output.shape) == 4 and layer.output.shape[1] > 1
    }
    seen = keras.Model(model.input, {layer.name: layer.output for layer in last.values()})
    answers = seen.predict(image[None], verbose=0)
    return {layer.name: answers[layer.name][0] for layer in last.values()}
