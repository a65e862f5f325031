r"""kidney2: slices of abdominal CT in two classes, normal kidneys and kidneys with a tumour.

```mermaid
flowchart LR
    C["conf/dataset/kidney2.yaml"] --> B["dataset.build"]
    D["synthetic.draw"] --> B
    B -->|"source=sample, directory,<br/>archives, kaggle"| T["table of files"]
    T -->|"DICOM: window, frames, series"| V["contract"] --> I["Images"]
```

# Classes

| folder | what the slice shows |
|---|---|
| `Normal` | the abdomen, without a finding in the kidneys |
| `Tumor` | a tumour of a kidney |

# Sources

- `sample`: series of slices drawn on the spot (`datasets.kidney2.synthetic`), 60 % train, 20 %
  validation, 20 % test. For trying the pipeline, not for medicine.
- `directory`: any folder with the folders `Normal` and `Tumor`, in `train`, `validation` and
  `test` or not; an optional `manifest.csv` (see `datasets.common.folders`). The files are pictures
  or DICOM (`datasets.common.images.dicom`), also both.
- `archives`: one zip of such a folder: a path, an http(s) URL, or a Google Drive link, as the
  kidney report kept its images.
- `kaggle`, in production: the public set below, of which `dataset.classes` takes two folders and
  `dataset.limit` 200 slices of each.

Other folders beside the two, such as `Cyst` and `Stone`, are left out; `dataset.classes` chooses.

# Where the slices come from, and their terms

The kidney report (*Informe de salida*, in Spanish, without author and date,
https://github.com/Katherin07/tdsp_dl_project_kidney_disease_classification) took about 200 slices
of each class at random from *CT KIDNEY DATASET: Normal, Cyst, Tumor and Stone* on Kaggle
(`nazmul0087`), 12,446 slices of patients in Dhaka; its page names the terms, which bind whoever
uses them. Nothing of it is kept in this repository. To cite: M. N.
Islam et al., *Vision transformer and explainable transfer learning models for auto detection of
kidney cyst, stone and tumor from CT-radiography*, Scientific Reports 12, 11440 (2022), doi
10.1038/s41598-022-15634-4.

# Traps

- Slices of one series are near-copies: a random split puts neighbours on both sides and measures
  how well the series is recognised. Split by cluster (`split.by=cluster`), with the series as
  `group` in a `manifest.csv`; DICOM brings it along (SeriesInstanceUID).
- The report's 465 slices are of 16 series, none of which has both classes, and some sizes occur
  in one class only: 768 x 622 in Tumor, 755 x 611 in Normal. Size alone gives the class away.
- Pictures were windowed when somebody exported them, by a window that nobody noted. DICOM is
  shown through the window of the configuration, which means Hounsfield units; with
  `dataset.dicom.centre=null dataset.dicom.width=null` each file's own counts, a shortcut if it
  differs.
- The series of a patient are not joined: SeriesInstanceUID says nothing of who it was.
"""
