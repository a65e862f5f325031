"""treesurvival: which tree seedlings die in their first season, one row a seedling.

```mermaid
flowchart LR
    C["conf/dataset/treesurvival.yaml"] --> B["dataset.build"]
    D["synthetic.draw"] -->|source=sample| B
    F["Tree_Data.csv"] -->|source=directory| B
    K["common.CONTRACT"] --> B
    B --> V["types, categories, ranges"] --> O["common.outcomes"] --> T["Table"]
    O -->|"harvested, or no Event"| Q["quarantined"]
```

# Classes

`survived` lived at the last census, after 115.5 days; `not_survived` had died before.

# Features

The default is what is known when a seedling is planted: `Species`, `Light_ISF` (share of the open
sky's light), `Soil` (species of the tree whose soil it stands in), `Core` (year of that soil core).
`Light_Cat`, `Sterile`, `Conspecific`, `Myco` and `SoilMyco` follow from these. The traits `AMF`,
`EMF`, `Phenolics`, `Lignin` and `NSC` were measured three weeks later, on harvested seedlings of
the same species, soil and plot: they are not known on the day of planting. `dataset.features=[...]`
chooses the features.

# Columns that are no feature

If `dataset.features` names one of them, it is refused with the reason
(`datasets.treesurvival.common.OTHERS`). `Time`, `Event`, `Harvest` and `Alive` leak the outcome,
and so does `Census`, which is `Time` divided by 3.5 days in every row. `Plot` is the group:
seedlings of a plot share light, deer and weather, so a plot is in one split only. `Subplot`,
`Adult`, `No` and `PlantDate` name a place, a tree, a row and a day of this one experiment.

# Censored rows

A quarter of the seedlings were harvested alive on day 24.5 or 28, to measure their traits. The file
calls them `Dead`. It is not known whether they would have died, so they are quarantined, as is a
row without `Event`. The remaining rows are biased: a seedling that was meant for the harvest counts
if it died before, and does not count if it lived. So deaths of the first three weeks have more
weight than in the field, and predicted probabilities of dying are somewhat too high.

# Sources

- `sample`: seedlings drawn on the spot (`datasets.treesurvival.synthetic`), in 18 plots, with an
  effect of the plot that no feature shows. They are for trying the pipeline, not for ecology.
- `directory`, in production: `dataset.path=/a/Tree_Data.csv`, UTF-8, separated by commas, empty or
  `NA` for no value. Columns are found by name, in any order; none may be missing or unknown.

# Where the rows come from

K. E. A. Wood, R. K. Kobe, I. Ibáñez, S. McCarthy-Neumann: *Tree seedling functional traits mediate
plant-soil feedback survival responses across a gradient of light availability*, PLoS ONE 18 (2023),
doi 10.1371/journal.pone.0293906. The data are published with the paper, under the terms named
there; this repository holds none of them.
"""
