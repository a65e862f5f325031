"""The jobs other than training, which `python -m datasets` and `python -m models` run.

Each job is one module with `job(config)`; its name is that of the recipe, which `find` computes.
Each job logs one MLflow run and writes one HTML report.

```mermaid
flowchart LR
    D["python -m datasets"] -->|dataset_kvasir4| image_dataset
    D -->|study_kvasir4| image_dataset_study
    M["python -m models"] -->|study_resnet50v2ft| image_model_study
    M -->|predict_resnet50v2ft| image_prediction
    M -->|compare_kvasir4| image_comparison
    registry[("models of trainings")] --> image_model_study & image_prediction
    image_dataset & image_dataset_study & image_model_study & image_prediction --> R["report.html"]
```

The same jobs exist for tables: `table_dataset` and so on. The jobs share the modules `common`,
`table_common`, `probes` (leaks), `pictures` and `scoring` (Parquet).
"""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


def find(_: DictConfig) -> str:
    """Dotted name of the function of the job; its module has the name of the recipe."""
    return f"{__name__}.{HydraConfig.get().runtime.choices['recipe']}.job"
