"""{{cookiecutter.dataset}}: two classes. Say here what they show and where they come from.

```mermaid
flowchart LR
    C["conf/dataset/{{cookiecutter.dataset}}.yaml"] --> B["dataset.build"]
    D["synthetic.draw"] -->|source=sample| B
    B --> V["contract"] --> I["Images"]
```
"""
