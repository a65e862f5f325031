r"""MobileNetV2 with a small head, fine-tuned behind `block_12`.

## Description
A network of inverted residuals [1] at width 1.0, without its ImageNet classifier, followed by
global average pooling, a dense layer of 32 ReLU units, dropout of 0.2 and a softmax over the
classes. It has 2.3 million weights, a tenth of ResNet50V2's, and needs about a twelfth of its
operations.
All is one flat graph, from `uint8` pixels to probabilities.

`model.weights` also takes a file with the backbone of
`keras.applications.MobileNetV2(include_top=False)`, with input scaled to [-1, 1]. In files made
from a quantized network, BatchNorm is folded into the convolutions and its statistics are
placeholders. BatchNorm never trains here, so such a file works like any other.

## Simple explanation
A small network has learned edges, textures and shapes from everyday photographs. Its last part is
trained again on medical images, and a small new layer predicts the class. It was designed for
telephones, so it is fast on an ordinary computer.

## Motivation
Many computers in hospitals have no graphics card. A small backbone with good weights is faster to
train, to test and to serve than a large one, and with few labelled images it need not be worse.

## Flow
```mermaid
flowchart TD
    pixels["uint8 pixels (B, H, W, 3)"] --> rescale["Rescaling to [-1, 1]"]
    rescale --> frozen["Conv1, block_1 ... block_12: frozen"]
    frozen -->|"(B, H/16, W/16, 96)"| tail["block_13 ... block_16, Conv_1: 13 convolutions train"]
    tail -->|"feature map (B, H/32, W/32, 1280)"| pool["global average pooling"]
    pool --> dense["Dense 32, ReLU"] --> drop["Dropout 0.2"] --> out["Dense, softmax (B, classes)"]
```

A block widens its input sixfold, convolves each channel separately (depthwise) and narrows again
without a non-linearity. A \(k \times k\) convolution from \(c\) to \(c'\) channels needs
\(k^2 c\,c'\) products per pixel; depthwise and then \(1 \times 1\), it needs \(c\,(k^2 + c')\).

The head is that of the other image models, so Grad-CAM [2] has the same closed form.

## Sources
1. Sandler, Howard, Zhu, Zhmoginov, Chen: *MobileNetV2: Inverted Residuals and Linear Bottlenecks*,
   CVPR 2018.
2. Selvaraju et al.: *Grad-CAM*, ICCV 2017.

## Changes
- v1: first version.
"""
