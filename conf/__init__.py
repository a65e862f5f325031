"""Configuration: the typed schema, the YAML files and the entry point of every command.

There are two environments (`env=development`, `env=production`). A pipeline chooses a dataset and a
model, and sets the values of the recipe:

```mermaid
flowchart LR
    cli["python -m train<br/>+pipeline=train_resnet50v2ft"] --> entry
    schema --> entry
    env["env/*.yaml"] --> entry
    pipeline["pipeline/*.yaml"] --> entry
    dataset["dataset/*.yaml"] --> pipeline
    model["model/*.yaml"] --> pipeline
    entry["entry: compose, check, import"]
    entry --> job["train/&lt;model&gt;-&lt;dataset&gt;_v&lt;N&gt;/pipeline.py"]
```

Every value can be changed on the command line (`fit.finetune.epochs=5`). `--cfg job` prints the
configuration of a run, `--help` the choices.
"""
