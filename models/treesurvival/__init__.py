r"""A scikit-learn pipeline that predicts the probability that a tree seedling does not survive.

## Description
Each category becomes one column. Numbers are imputed by the median, with a column that marks
missing ones, and scaled. One of four estimators follows, `model.estimator`: logistic regression, a
random forest [1], extremely randomized trees [2] or histogram gradient boosting [3]. All of it is
one pipeline: medians and scales are fitted on training rows alone, also inside a search, and the
stored model takes raw rows.

## Simple explanation
The model learns hundreds of small lists of questions ("is it an oak?", "is there more light than
8 %?") from seedlings whose outcome is known. Each list gives the share of similar seedlings that
died; the prediction is the mean of all lists.

## Motivation
A nursery or a forester has a short table, not a million pictures. On such tables, forests and
logistic regression are among the best models, train in seconds and need no special hardware. One
training compares the four on the same folds, and shows whether a complex one is better.

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
\(P(p_i > p_j)\) that the prediction \(p_i\) for a seedling that died is higher than the prediction
\(p_j\) for a seedling that lived.

A category that is not in the dataset's contract is an error; it is not encoded as zeros.

## Sources
1. Breiman: *Random Forests*, Machine Learning 45, 2001.
2. Geurts, Ernst, Wehenkel: *Extremely randomized trees*, Machine Learning 63, 2006.
3. Ke et al.: *LightGBM*, NeurIPS 2017; scikit-learn's `HistGradientBoostingClassifier`.

## Changes
- v1: first version.
"""
