r"""Random initial weights for a network whose BatchNorm never trains.

Keras counts the inputs of a depthwise kernel as if it mixed channels, and BatchNorm corrects the
scale. Here BatchNorm never trains, so with Keras' own random weights the activations of every image
would vanish.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def draw_weights(backbone: "keras.Model") -> None:
    r"""Draw every kernel from \(N(0, 2/n)\), \(n\) being the inputs of one output.

    Activations then keep their scale from layer to layer (He, Zhang, Ren, Sun: *Delving Deep into
    Rectifiers*, ICCV 2015).
    """
    import keras

    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            kernel = layer.kernel  # (k, k, channels, filters), or (k, k, channels, 1)
            mixed = 1 if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel.shape[2]
            inputs = kernel.shape[0] * kernel.shape[1] * mixed
            normal = keras.initializers.RandomNormal(stddev=(2 / inputs) ** 0.5)
            kernel.assign(normal(kernel.shape))
