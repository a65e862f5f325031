"""{{cookiecutter.dataset}}: two classes of rows. Say here what they are and where they come from.

```mermaid
flowchart LR
    C["conf/dataset/{{cookiecutter.dataset}}.yaml"] --> B["dataset.build"]
    D["synthetic.draw"] -->|source=sample| B
    F["a CSV file"] -->|source=directory| B
    K["common.CONTRACT"] --> B --> T["Table"]
```
"""
