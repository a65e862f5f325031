"""Code that pipelines share: data, fitting, evaluation, tracking, export.

```mermaid
flowchart TD
    pipeline["a pipeline and its steps"] --> cross_validation & gate & export & fitting & tracking
    cross_validation --> gate --> tracking
    export --> fitting & tracking
    fitting --> tracking
    tracking --> evaluation --> data
```

`data.types` defines the values that flow between steps:

```mermaid
classDiagram
    class Dataset["Dataset (datasets.common)"]{
        frame ~DataFrame~
        classes ~tuple~
        digest ~str~
    }
    class Splits["Splits"]{
        data ~Dataset~
        train ~ndarray~
        validation ~ndarray~
        test ~ndarray~
    }
    class TrainedModel["TrainedModel"]{
        model ~Model~
        history ~DataFrame~
        best_epoch ~int~
    }
    class TrainedPipeline["TrainedPipeline"]{
        model ~Pipeline~
        candidates ~DataFrame~
    }
    class Report["Report"]{
        scalars ~dict~
        tables ~dict~
        figures ~dict~
    }
    Dataset <|-- Images
    Dataset <|-- Table
    Images <|-- DecodedImages
    Splits --> Dataset
    Splits ..> TrainedModel : fit
    Splits ..> TrainedPipeline : search
    TrainedModel ..> Report : metrics
    TrainedPipeline ..> Report : metrics
```
"""
