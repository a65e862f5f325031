r"""ResNet50V2 with a small head, fine-tuned behind `conv4_block5`.

## Description
A residual network of 50 layers in its pre-activation form [1], without its ImageNet
classifier, followed by global average pooling, a dense layer of 32 ReLU units, dropout of 0.2 and a
softmax over the classes. The recipe (head, dropout, the 13 convolutions that train) is that
of the modft report [3]. All is one flat graph, from `uint8` pixels to probabilities.

## Simple explanation
A network has learned edges, textures and shapes from everyday photographs. Its last layers, which
represent parts of objects, are trained again on medical images, and a small new layer predicts the
class.

## Motivation
Few labelled medical images exist. Features learned from other images transfer, and fine-tuning only
the last blocks needs less data, less memory and about a third of the operations.

## Flow
```mermaid
flowchart TD
    pixels["uint8 pixels (B, H, W, 3)"] --> rescale["Rescaling to [-1, 1]"]
    rescale --> frozen["conv1 ... conv4_block5: frozen"]
    frozen -->|"(B, H/16, W/16, 1024)"| tail["conv4_block6, conv5: 13 convolutions train"]
    tail -->|"feature map (B, H/32, W/32, 2048)"| pool["global average pooling"]
    pool --> dense["Dense 32, ReLU"] --> drop["Dropout 0.2"] --> out["Dense, softmax (B, classes)"]
```

With \(f\) the feature map, \(g = \frac{1}{hw}\sum_{ij} f_{ij}\) its average and \(W_1, W_2\) the
dense layers, the prediction is \(\mathrm{softmax}(W_2\,\mathrm{relu}(W_1 g + b_1) + b_2)\). Its
gradient with respect to \(f\), and therefore Grad-CAM [2], has a closed form.

BatchNorm stays in inference mode, because batches of 32 medical images would replace the statistics
of a million photographs by noise.

## Sources
1. He, Zhang, Ren, Sun: *Identity Mappings in Deep Residual Networks*, ECCV 2016.
2. Selvaraju et al.: *Grad-CAM*, ICCV 2017.
3. Sandoval, Gómez Amado: *Exit Report* (in Spanish, without a date), on the library modft 0.1.0,
   https://github.com/margomeza16/mlds6_proyecto.

## Changes
- v1: first version.
"""
