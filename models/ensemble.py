r"""Several fine-tuned networks of one training as one graph with one head.

The networks share the layers up to the freeze boundary, which are computed once. Each network
\(k\) adds its own layers behind it and its own head. The logits of the ensemble are the mean of
theirs:

$$ y = \frac{1}{K} \sum_k \big( W_2^{(k)\top} h^{(k)} + b_2^{(k)} \big), \quad
h^{(k)} = \max(W_1^{(k)\top} p^{(k)} + b_1^{(k)}, 0) $$

With the pooled features \(p\) of all networks side by side, this is again a dense layer with ReLU
(its kernel has the \(W_1^{(k)}\) on the diagonal) and a dense layer with softmax (its kernel has
the \(W_2^{(k)} / K\) one below the other). So the ensemble has the same head as one network, and
Grad-CAM, int8 and the service need nothing else for it.

```mermaid
flowchart LR
    image --> frozen["frozen layers, once"]
    frozen --> one["layers of network 1"] & more["..."] & last["layers of network K"]
    one & more & last --> side["feature maps side by side<br/>(h, w, K C)"]
    side --> pool --> head["one head"]
```
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from conf.errors import UserError
from models.common import POOL, PROBABILITIES, head, split_at

if TYPE_CHECKING:
    import keras


def ensemble(networks: "Sequence[keras.Model]", boundary: str) -> "keras.Model":
    """The mean of the logits of `networks` as one network, in the form of `models.common.head`.

    All must have the same weights up to and with the layer `boundary`. Raises `UserError` when they
    do not.
    """
    import keras

    before, _ = split_at(networks[0], boundary)
    for network in networks[1:]:
        theirs, _ = split_at(network, boundary)
        if not all(
            np.array_equal(one, other)
            for one, other in zip(before.get_weights(), theirs.get_weights(), strict=True)
        ):
            raise UserError(
                f"the networks differ up to model.freeze={boundary}, so they cannot share these "
                "layers: train all folds from the same weights"
            )
    edge = before.output
    maps = [
        keras.Model(
            network.get_layer(boundary).output,
            network.get_layer(POOL).input,
            name=f"network_{number}",
        )(edge)
        for number, network in enumerate(networks, start=1)
    ]
    hidden = [network.get_layer("hidden").get_weights() for network in networks]
    last = [network.get_layer(PROBABILITIES).get_weights() for network in networks]
    joined = keras.layers.Concatenate(name="networks")(maps)
    dropout = networks[0].get_layer("dropout").rate
    units = hidden[0][0].shape[1]
    output = head(joined, last[0][0].shape[1], units * len(networks), dropout)
    model = keras.Model(before.input, output, name=networks[0].name)
    kernel = np.zeros((joined.shape[-1], units * len(networks)), np.float32)
    width = joined.shape[-1] // len(networks)
    for k, (each, _) in enumerate(hidden):
        kernel[k * width : (k + 1) * width, k * units : (k + 1) * units] = each
    model.get_layer("hidden").set_weights([kernel, np.concatenate([bias for _, bias in hidden])])
    count = len(networks)
    model.get_layer(PROBABILITIES).set_weights(
        [
            np.concatenate([each for each, _ in last]) / count,
            np.mean([bias for _, bias in last], axis=0),
        ]
    )
    return model
