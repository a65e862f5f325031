"""The typed schema of every setting: dataclasses in Hydra's ConfigStore.

The YAML files in `conf/` set these fields. Any other key, and a value of another type, is refused
before any work starts. Fields whose value is `MISSING` must be set by the environment, the dataset,
the model or the pipeline.

A pipeline names its recipe, one of `RECIPES`. `base.py` has the parts that all recipes share,
`images.py` the recipes of images, `fitting.py` the fitting of their models, `publishing.py` what is
served, `sweep.py` what a sweep searches, `tables.py` the recipes of tables; import all of them from
here. For example, the recipe of
a training:

```mermaid
classDiagram
    class Config["Config"]{
        seed ~int~
        version ~str~
        env ~Env~
    }
    class ImageTraining["ImageTraining"]{
        dataset ~ImageDataset~
        model ~ImageModel~
        transform ~Transform~
        split ~Split~
        gate ~Gate~
        fit ~Fit~
        metrics ~Metrics~
        abstention ~Abstention~
        publish ~Publish~
        promotion ~PromotionRule~
        sweep ~Sweep~
    }
    class Env["Env"]{
        name ~str~
        tracking_uri ~str~
        source ~Source~
        limits ~Limits~
    }
    class Fit["Fit"]{
        warmup ~Phase~
        finetune ~Phase~
        augment ~Augment~
    }
    Config <.. ImageTraining : extends
    Config <|-- Env
    Env <|-- Limits
    ImageTraining <|-- ImageDataset
    ImageTraining <|-- ImageModel
    ImageTraining <|-- Gate
    ImageTraining <|-- Fit
    ImageTraining <|-- Abstention
    ImageTraining <|-- Sweep
    Fit <|-- Phase
    Fit <|-- Augment
    ImageDataset <|-- Archive
    ImageDataset <|-- Dicom
```
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from conf.schema.base import (
    About,
    Arithmetic,
    Cache,
    Config,
    Embedding,
    Env,
    Limits,
    ModelStudy,
    Part,
    Predict,
    Probes,
    Promotion,
    Source,
)
from conf.schema.fitting import Augment, ClassWeights, Fit, Monitor, Phase, Schedule
from conf.schema.images import (
    Archive,
    Compare,
    Dicom,
    Gate,
    ImageComparison,
    ImageDataset,
    ImageDatasetJob,
    ImageDatasetStudy,
    ImageModel,
    ImageModelStudy,
    ImagePrediction,
    ImageTraining,
    Metrics,
    Series,
    Split,
    SplitBy,
    Transform,
)
from conf.schema.publishing import Abstention, Precision, PromotionRule, Publish
from conf.schema.sweep import Dimension, Sweep
from conf.schema.tables import (
    Estimator,
    Scoring,
    TableDataset,
    TableDatasetJob,
    TableDatasetStudy,
    TableFit,
    TableMetrics,
    TableModel,
    TableModelStudy,
    TablePrediction,
    TableSplit,
    TableTraining,
)

__all__ = [
    "RECIPES",
    "About",
    "Abstention",
    "Archive",
    "Arithmetic",
    "Augment",
    "Cache",
    "ClassWeights",
    "Compare",
    "Config",
    "Dicom",
    "Dimension",
    "Embedding",
    "Env",
    "Estimator",
    "Fit",
    "Gate",
    "ImageComparison",
    "ImageDataset",
    "ImageDatasetJob",
    "ImageDatasetStudy",
    "ImageModel",
    "ImageModelStudy",
    "ImagePrediction",
    "ImageTraining",
    "Limits",
    "Metrics",
    "ModelStudy",
    "Monitor",
    "Part",
    "Phase",
    "Precision",
    "Predict",
    "Probes",
    "Promotion",
    "PromotionRule",
    "Publish",
    "Schedule",
    "Scoring",
    "Series",
    "Source",
    "Split",
    "SplitBy",
    "Sweep",
    "TableDataset",
    "TableDatasetJob",
    "TableDatasetStudy",
    "TableFit",
    "TableMetrics",
    "TableModel",
    "TableModelStudy",
    "TablePrediction",
    "TableSplit",
    "TableTraining",
    "Transform",
    "cap",
    "native_precision",
    "plain",
    "register",
    "typed",
    "unless",
]

RECIPES: dict[str, type[Config]] = {
    "image_training": ImageTraining,
    "image_dataset": ImageDatasetJob,
    "image_dataset_study": ImageDatasetStudy,
    "image_model_study": ImageModelStudy,
    "image_prediction": ImagePrediction,
    "image_comparison": ImageComparison,
    "table_training": TableTraining,
    "table_dataset": TableDatasetJob,
    "table_dataset_study": TableDatasetStudy,
    "table_model_study": TableModelStudy,
    "table_prediction": TablePrediction,
}
"""The recipes that a pipeline can name."""


def cap(value: float, limit: float | None) -> float:
    """`value`, or `limit` if the environment sets a smaller one.

    In YAML: `${cap:20,${env.limits.epochs}}`.
    """
    return value if limit is None else min(value, limit)


def unless(value: Any, other: Any) -> Any:
    """`value`, or `other` if the environment sets it.

    In YAML: `source: ${unless:kaggle,${env.source}}`.
    """
    return value if other is None else other


def native_precision(
    facts: Path = Path("/proc/cpuinfo"), gpus: Path = Path("/proc/driver/nvidia/gpus")
) -> str:
    """`float16` on a GPU, `bfloat16` if the CPU has instructions for it, else `float32`.

    `${native_precision:}` in the configuration. Linux reports both. A GPU counts if the environment
    has its libraries (`make setup ACCELERATOR=gpu`) and `CUDA_VISIBLE_DEVICES` does not hide it.
    """
    libraries = find_spec("nvidia") and find_spec("nvidia.cudnn")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if libraries and not hidden and gpus.is_dir() and any(gpus.iterdir()):
        return "float16"
    known = facts.read_text().split() if facts.exists() else []
    return "float32" if {"avx512_bf16", "amx_bf16"}.isdisjoint(known) else "bfloat16"


Recipe = TypeVar("Recipe", bound=Config)


def typed(config: DictConfig, recipe: type[Recipe]) -> Recipe:
    """`config` as an object of its `recipe`, so that mypy checks every field.

    Raises `TypeError` if the pipeline names another recipe.
    """
    settings = OmegaConf.to_object(config)
    if not isinstance(settings, recipe):
        raise TypeError(f"recipe {type(settings).__name__} where {recipe.__name__} is expected")
    return settings


def plain(settings: Any) -> dict[str, Any]:
    """Settings as dicts, lists, numbers and strings for YAML and JSON; enums by their names."""
    container = OmegaConf.to_container(OmegaConf.structured(settings), enum_to_str=True)
    assert isinstance(container, dict)
    return {str(name): value for name, value in container.items()}


def register() -> None:
    """Register the resolvers, and the schema for the `defaults` lists of the YAML files."""
    OmegaConf.register_new_resolver("cap", cap, replace=True)
    OmegaConf.register_new_resolver("unless", unless, replace=True)
    OmegaConf.register_new_resolver("native_precision", native_precision, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, recipe in RECIPES.items():
        store.store(group="recipe", name=name, node=recipe, package="_global_")
    store.store(group="env", name="schema", node=Env)
    store.store(group="dataset", name="image_schema", node=ImageDataset)
    store.store(group="dataset", name="table_schema", node=TableDataset)
    store.store(group="model", name="image_schema", node=ImageModel)
    store.store(group="model", name="table_schema", node=TableModel)
    store.store(group="sweep", name="schema", node=Sweep)
