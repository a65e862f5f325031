r"""kvasir4: endoscopy frames in four classes, normal, ulcerative colitis, polyps and esophagitis.

```mermaid
flowchart LR
    C["conf/dataset/kvasir4.yaml"] --> B["dataset.build"]
    D["synthetic.draw"] --> B
    B -->|"source=sample, directory,<br/>archives, kaggle"| T["table of files"]
    T --> V["contract"] --> I["Images"]
```

# Classes

| folder | what the frame shows |
|---|---|
| `0_normal` | normal mucosa and vessels of the large bowel |
| `1_ulcerative_colitis` | inflamed, granular mucosa, ulcers |
| `2_polyps` | one or more polyps |
| `3_esophagitis` | inflamed oesophagus at the z-line |

# Sources

- `sample`: frames drawn on the spot (`datasets.kvasir4.synthetic`), 60 % train, 20 % validation,
  20 % test. For trying the pipeline, not for medicine.
- `directory`: any folder with one folder per class, in `train`, `validation` and `test` or not;
  an optional `manifest.csv` (see `datasets.common.folders`).
- `archives`: `train.zip`, `val.zip` and `test.zip` of the curated colon set: 3,200, 2,000 and 800
  images.
- `kaggle`, in production: the same set as `francismon/curated-colon-dataset-for-deep-learning`;
  signing in is kagglehub's matter.

# Where the frames come from, and their terms

The curated colon set was put together by its author on Kaggle from public sets, Kvasir above all;
its page there names them and their terms, which bind whoever uses the frames. Nothing of it is
kept in this repository. To cite: K. Pogorelov et al., *KVASIR: A Multi-Class Image Dataset for
Computer Aided Gastrointestinal Disease Detection*, MMSys 2017, doi 10.1145/3083187.3083212, and
the set itself. HyperKvasir and GastroVision, both CC BY 4.0, fit the same classes through
`source=directory`.

# Traps

- A green inset shows the position of the endoscope, and the sizes of frames differ by class: a
  model can learn the equipment instead of the disease.
- Frames of one video are near-duplicates and cross the official splits. `split.by=cluster` keeps
  them together. A cluster is found by a 64-bit pHash of the whole frame: it finds re-encoded and
  neighbouring frames, not turned, mirrored or strongly cropped ones. At
  `hash_distance=4` all 16 known pairs of a set of 3,567 frames were found; from 8 bits on, frames
  that share only border and inset run together into clusters of hundreds.
- Where classes come from different hospitals, the source alone can give the class away.
"""
