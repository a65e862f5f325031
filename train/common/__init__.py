"""What pipelines share: typed values between steps, the step bodies, the MLflow run and the report.

```mermaid
classDiagram
    class Samples["Samples"]{
        table ~DataFrame~
        classes ~tuple~
        digest ~str~
        pixels ~Path~
    }
    class Splits["Splits"]{
        samples ~Samples~
        train ~ndarray~
        validation ~ndarray~
        test ~ndarray~
        digest ~str~
    }
    class Fitted["Fitted"]{
        model ~Model~
        history ~DataFrame~
        best_epoch ~int~
        checkpoints ~Checkpoints~
    }
    class Report["Report"]{
        scalars ~dict~
        tables ~dict~
        figures ~dict~
    }
    class TableSplits["TableSplits"]{
        data ~Table~
        train ~ndarray~
        validation ~ndarray~
        test ~ndarray~
        digest ~str~

        +inputs(rows ~ndarray~) ~DataFrame~
        +labels(rows ~ndarray~) ~ndarray~
        +groups(rows ~ndarray~) ~ndarray~
    }
    class TableFitted["TableFitted"]{
        model ~Pipeline~
        search ~RandomizedSearchCV~
        candidates ~DataFrame~
    }
    Splits <|-- Samples
    TableFitted <.. TableSplits : fit
    Report <.. TableFitted : metrics
    Fitted <.. Splits : fit
    Report <.. Fitted : metrics
```
"""
