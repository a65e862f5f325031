"""MobileNetV2 with a small head, fine-tuned behind `block_12`.

## Description
What is relevant to use it: input, output, what trains.

## Simple explanation
The same for a reader outside the field.

## Motivation
Why this network, for this question.

## Flow
```mermaid
flowchart TD
    pixels["uint8 pixels (B, H, W, 3)"] --> rescale["Rescaling to [-1, 1]"]
    rescale --> frozen["up to block_12: frozen"]
    frozen --> tail["block_13 and on: trains"]
    tail -->|"feature map (B, H/32, W/32, 1280)"| head["pool, Dense, softmax (B, classes)"]
```

## Changes
- v1: first version.
"""
