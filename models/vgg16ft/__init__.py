r"""VGG16 with a small head, fine-tuned behind `block4_pool`.

## Description
Thirteen 3 x 3 convolutions in five blocks, each closed by a max pooling [1], without the ImageNet
classifier, followed by global average pooling, a dense layer of 32 ReLU units, dropout of 0.2 and a
softmax over the classes. It is the backbone of the kidney report [2]. There all 13 convolutions
were frozen; here the three of the last block train. All is one flat graph, from `uint8` pixels to
probabilities.

## Simple explanation
A network has learned edges, textures and shapes from everyday photographs. Its last block, which
combines shapes, is trained again on CT, and a small new layer predicts whether there is a tumour.

## Motivation
It is the simplest of the deep networks. It has no branches and no normalisation, so it computes the
same in training and in serving, and small batches (16 in the report) are no problem. It has two
disadvantages: it needs 15 billion multiplications for an image of 224 pixels, four times those of
ResNet50V2, and without normalisation it hardly learns from random weights, so use `imagenet`.

## Flow
```mermaid
flowchart TD
    pixels["uint8 RGB pixels (B, H, W, 3)"] --> bgr["BGR, ImageNet's means subtracted"]
    bgr --> frozen["blocks 1 to 4, 10 convolutions: frozen"]
    frozen -->|"(B, H/16, W/16, 512)"| tail["block 5: 3 convolutions train"]
    tail -->|"feature map (B, H/32, W/32, 512)"| pool["global average pooling"]
    pool --> dense["Dense 32, ReLU"] --> drop["Dropout 0.2"] --> out["Dense, softmax (B, classes)"]
```

The published weights were trained in Caffe, on blue, green and red with their means
\(\mu = (103.939, 116.779, 123.68)\) subtracted and no further scaling: \(x_{bgr} - \mu\), as
`keras.applications.vgg16.preprocess_input` does it.

## Sources
1. Simonyan, Zisserman: *Very Deep Convolutional Networks for Large-Scale Image Recognition*,
   ICLR 2015, configuration D.
2. *Informe de salida* (in Spanish, without author and date),
   https://github.com/Katherin07/tdsp_dl_project_kidney_disease_classification.

## Changes
- v1: first version.
"""
