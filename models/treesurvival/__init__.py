r"""A scikit-learn pipeline that answers how likely a tree seedling is not to survive.

## Description
Categories become one column each, numbers are imputed by the median with a column that says where
one was missing, and scaled; behind that stands one of four estimators, `model.estimator`: logistic
regression, a random forest [1], extremely randomized trees [2] or histogram gradient boosting [3].
All of it is one pipeline: what is fitted (medians, scales) is fitted on training rows alone, also
inside a search, and what is stored takes raw rows.

## Simple explanation
Hundreds of small lists of questions ("is it an oak?", "is there more light than 8 %?") are learned
from seedlings whose fate is known. Each list answers with the share of seedlings like this one that
died; the answer is the mean of all lists.

## Motivation
A nursery or a forester has a short table, not a million pictures. On such tables trees and
logistic regression are hard to beat, are trained in seconds and need no special hardware. One
training compares the four on the same folds, and shows whether a complicated one earns its keep.

## Flow
```mermaid
flowchart TD
    rows["raw rows (N, features)"] --> words["categories: one-hot"]
    rows --> numbers["numbers: median, missing indicator, scale"]
    words --> joined["(N, columns)"]
    numbers --> joined
    joined --> estimator["logistic regression | random forest | extra trees | gradient boosting"]
    estimator --> out["probabilities (N, classes)"]
```

Hyper-parameters are drawn at random (`models.tables.search_space`) and compared by
cross-validation over whole groups, by the area under the ROC curve: the probability
\(P(p_i > p_j)\) that a seedling \(i\) that died was given more than one \(j\) that lived.

A category that is not in the dataset's contract is an error, never silently all zeros.

## Sources
1. Breiman: *Random Forests*, Machine Learning 45, 2001.
2. Geurts, Ernst, Wehenkel: *Extremely randomized trees*, Machine Learning 63, 2006.
3. Ke et al.: *LightGBM*, NeurIPS 2017; scikit-learn's `HistGradientBoostingClassifier`.

## Changes
- v1: first version.
"""
