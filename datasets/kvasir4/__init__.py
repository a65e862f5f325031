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
  20 % test. They are for trying the pipeline, not for medical use.
- `directory`: a folder with one folder per class, with or without `train`, `validation` and `test`
  above them, and optionally a `manifest.csv` (see `datasets.common.manifest`).
- `archives`: `train.zip`, `val.zip` and `test.zip` of the curated colon set: 3,200, 2,000 and 800
  images.
- `kaggle`, in production: the same set as `francismon/curated-colon-dataset-for-deep-learning`;
  kagglehub signs in.

# Where the frames come from, and their terms

The curated colon set was compiled by its author on Kaggle from public sets, mostly Kvasir. Its page
there names them and their terms, which bind everybody who uses the frames. This repository holds
none of the frames. To cite: K. Pogorelov et al., *KVASIR: A Multi-Class Image Dataset for
Computer Aided Gastrointestinal Disease Detection*, MMSys 2017, doi 10.1145/3083187.3083212, and
the set itself. HyperKvasir and GastroVision, both CC BY 4.0, fit the same classes through
`source=directory`.

# Traps

- A green inset shows the position of the endoscope, and the sizes of frames differ by class: a
  model can learn the equipment instead of the disease.
- Frames of one video are near-duplicates and cross the official splits. `split.by=cluster` keeps
  them together. Clusters are made by a 64-bit pHash of the whole frame, which finds re-encoded and
  neighbouring frames, but not rotated, mirrored or strongly cropped ones. At `hash_distance=4` all
  16 known pairs of a set of 3,567 frames were found; from 8 bits on, frames that share only border
  and inset form clusters of hundreds.
- If the classes come from different hospitals, the source alone can reveal the class.
"""
