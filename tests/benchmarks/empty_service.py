"""A BentoML service that does nothing: what `serving.py` takes for the least time to be ready."""

import bentoml


@bentoml.service(workers=1, metrics={"enabled": False})
class Empty:
    @bentoml.api
    def predict(self) -> str:
        return ""
