"""Training: one folder per `<model>-<dataset>_v<N>`; shared code is in `train.common`.

```mermaid
flowchart LR
    ingest --> transform --> split --> fit --> metrics --> report["MLflow run, report, models"]
```

    python -m train +pipeline=train_resnet50v2ft env=development
"""
