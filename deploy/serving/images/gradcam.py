r"""Grad-CAM without automatic differentiation: for this head it has a closed form.

The head is GlobalAveragePooling, a dense layer with ReLU, and a dense layer with softmax. With the
feature map \(A\) of \(Z = h w\) positions, \(p_k = \frac{1}{Z} \sum_{ij} A_{ijk}\) and
\(u = W_1^\top p + b_1\), the score of class \(c\) before the softmax is
\(y_c = (W_2^\top \max(u, 0) + b_2)_c\), hence

$$
\alpha_k = \frac{1}{Z} \sum_{ij} \frac{\partial y_c}{\partial A_{ijk}}
         = \frac{1}{Z} \sum_{m:\, u_m > 0} W_{1,km} W_{2,mc},
\qquad
L_{ij} = \max\Big(0, \sum_k \alpha_k A_{ijk}\Big).
$$

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization, ICCV 2017, equations 1 and 2.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

LONGEST_SIDE = 512
"""Longest side of an overlay in pixels; a feature map of 7 x 7 has no finer detail."""
PALETTE = np.array(
    [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64
)
"""Colours of the values 0, 1/4, ..., 1: viridis, which colour-blind readers can read too."""


@dataclass(frozen=True)
class Head:
    """The dense layers: kernels (C, hidden) and (hidden, classes), biases (hidden,), (classes,)."""

    hidden_kernel: np.ndarray
    hidden_bias: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (B, classes) of feature maps (B, h, w, C), as the graph computes them."""
        hidden = np.maximum(self._hidden(features), 0)
        logits = hidden @ self.kernel + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def grad_cam(self, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Grad-CAM (B, h, w), not normalised, of the class `targets` (B,) of each image."""
        places = features.shape[1] * features.shape[2]
        active = self._hidden(features) > 0  # (B, hidden)
        alpha = (active * self.kernel.T[targets]) @ self.hidden_kernel.T / places  # (B, C)
        return np.maximum(np.einsum("bhwc,bc->bhw", features, alpha), 0)

    def _hidden(self, features: np.ndarray) -> np.ndarray:
        return features.mean(axis=(1, 2)) @ self.hidden_kernel + self.hidden_bias


def preview(pixels: np.ndarray, width: int, height: int) -> bytes:
    """A PNG of the model's input, uint8 (S, S, 3), with the aspect ratio of the image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(shown_size(width, height)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def shown_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the overlay and the preview of an image of `width` x `height`."""
    scale = min(1, LONGEST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def overlay(cam: np.ndarray, width: int, height: int) -> bytes:
    """A PNG overlay for an image of `width` x `height`, transparent where `cam` is 0.

    It has the aspect ratio of the image, and no side is over `LONGEST_SIDE`. `cam` (h, w) is
    divided by its largest value.
    """
    size = shown_size(width, height)
    relative = (cam / (cam.max() or 1)).astype(np.float32)
    heat = np.asarray(Image.fromarray(relative).resize(size, Image.Resampling.BICUBIC))
    heat = np.clip(heat, 0, 1)
    steps = np.linspace(0, 1, len(PALETTE))
    colours = [np.interp(heat, steps, channel) for channel in PALETTE.T]
    rgba = np.stack([*colours, heat * 255], axis=-1).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
