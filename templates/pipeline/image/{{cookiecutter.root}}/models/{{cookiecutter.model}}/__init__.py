"""ResNet50V2 with a small head, fine-tuned behind `conv4_block5`.

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
    rescale --> frozen["up to conv4_block5: frozen"]
    frozen --> tail["conv4_block6, conv5: train"]
    tail -->|"feature map (B, H/32, W/32, 2048)"| head["pool, Dense, softmax (B, classes)"]
```

## Changes
- v1: first version.
"""
