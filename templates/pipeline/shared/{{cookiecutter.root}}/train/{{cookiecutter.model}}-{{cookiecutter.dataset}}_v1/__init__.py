"""{{cookiecutter.model}} on {{cookiecutter.dataset}}, version 1: see `pipeline`."""
