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
  validation, 20 % test. They are for trying the pipeline, not for medical use.
- `directory`: a folder with the folders `Normal` and `Tumor`, with or without `train`, `validation`
  and `test` above them, and optionally a `manifest.csv` (see `datasets.common.manifest`). The files
  are pictures, DICOM (`datasets.common.images.dicom`), or both.
- `archives`: one zip of such a folder: a path, an http(s) URL, or a Google Drive link. The kidney
  report kept its images in Google Drive.
- `kaggle`, in production: the public set below. `dataset.classes` takes two of its folders, and
  `dataset.limit` 200 slices of each.

Other folders, such as `Cyst` and `Stone`, are left out; `dataset.classes` chooses the folders.

# Where the slices come from, and their terms

The kidney report (*Informe de salida*, in Spanish, without author and date,
https://github.com/Katherin07/tdsp_dl_project_kidney_disease_classification) took about 200 slices
of each class at random from *CT KIDNEY DATASET: Normal, Cyst, Tumor and Stone* on Kaggle
(`nazmul0087`), 12,446 slices of patients in Dhaka. Its page names the terms, which bind everybody
who uses the slices. This repository holds none of them. To cite: M. N. Islam et al., *Vision
transformer and explainable transfer learning models for auto detection of kidney cyst, stone and
tumor from CT-radiography*, Scientific Reports 12, 11440 (2022), doi 10.1038/s41598-022-15634-4.

# Traps

- Slices of one series are near-copies: a random split puts neighbours on both sides and measures
  how well the series is recognised. Split by cluster (`split.by=cluster`), with the series as
  `group` in a `manifest.csv`; DICOM files name their series (SeriesInstanceUID).
- The report's 465 slices are of 16 series, none of which has both classes, and some sizes occur
  in one class only: 768 x 622 in Tumor, 755 x 611 in Normal. Size alone reveals the class.
- Exported pictures have been windowed with a centre and width that are not documented. For DICOM,
  the configuration gives the window, in Hounsfield units. With `dataset.dicom.centre=null
  dataset.dicom.width=null` each file's own window is used; if it differs by class, a model can
  learn the window instead of the tumour.
- Several series of one patient are not joined: SeriesInstanceUID does not identify the patient.
"""
