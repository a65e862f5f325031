"""A scikit-learn pipeline that answers how likely each class of a row is.

## Description
What is relevant to use it: columns, output, what `model.estimator` chooses.

## Simple explanation
The same for a reader outside the field.

## Motivation
Why this model, for this question.

## Flow
```mermaid
flowchart TD
    rows["raw rows (N, features)"] --> words["categories: one-hot"] --> estimator
    rows --> numbers["numbers: median, missing indicator, scale"] --> estimator
    estimator["model.estimator"] --> out["probabilities (N, classes)"]
```

## Changes
- v1: first version.
"""
