"""The tasks around training: what `python -m datasets` and `python -m models` run.

One module a job, named as the recipe that asks for it, with `job(config)`; `find` computes the
name. Each runs inside one MLflow run and leaves one HTML report.

```mermaid
flowchart LR
    D["python -m datasets"] -->|dataset_kvasir4| image_dataset
    D -->|study_kvasir4| image_dataset_study
    M["python -m models"] -->|study_resnet50v2ft| image_model_study
    M -->|predict_resnet50v2ft| image_prediction
    registry[("models of trainings")] --> image_model_study & image_prediction
    image_dataset & image_dataset_study & image_model_study & image_prediction --> R["report.html"]
```

There is one of each for tables as well, `table_dataset` and so on. What several of them use:
`common`, `table_common`, `probes` (leaks), `explain` (Keras), `pictures`, `scoring` (Parquet).
"""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


def find(_: DictConfig) -> str:
    """Dotted name of the function that does the job: the module is named as its recipe."""
    return f"{__name__}.{HydraConfig.get().runtime.choices['recipe']}.job"
