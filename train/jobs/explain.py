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
"""

from typing import TYPE_CHECKING

import numpy as np

from models.common import PROBABILITIES

if TYPE_CHECKING:
    import keras

BATCH = 32


def features(model: "keras.Model", pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, classes) and pooled features (N, C) of pixels uint8 (N, S, S, 3)."""
    import keras

    both = keras.Model(model.input, [model.output, model.get_layer("pool").output])
    answers, pooled = both.predict(pixels, batch_size=BATCH, verbose=0)
    return answers, pooled


def grad_cam(model: "keras.Model", pixels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Grad-CAM (N, h, w), not normalised, for the class in `targets` (N,) of each image."""
    import keras
    import tensorflow as tf

    feature_map, last = model.get_layer("pool").input, model.get_layer(PROBABILITIES)
    maps = keras.Model(model.input, feature_map).predict(pixels, batch_size=BATCH, verbose=0)
    head = keras.Model(feature_map, last.input)
    with tf.GradientTape() as tape:
        seen = tf.constant(maps)
        tape.watch(seen)
        logits = head(seen, training=False) @ last.kernel + last.bias
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
