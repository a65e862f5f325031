"""What a course project serves with: base64 in JSON, a file on disk, `model.predict`.

python tests/benchmarks/flask_app.py --model model.keras --port 5000
"""

import argparse
import base64
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    """Load the model once, then answer POST /predict until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()

    import keras
    import numpy as np
    from flask import Flask, jsonify, request

    model = keras.models.load_model(given.model)
    side = model.input_shape[1]
    app = Flask("peer")
    folder = Path(tempfile.mkdtemp())

    @app.get("/")
    def home() -> str:
        return "ready"

    @app.post("/predict")
    def predict() -> Any:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".jpg") as file:
            file.write(base64.b64decode(request.get_json()["image"]))
            file.flush()
            image = keras.utils.load_img(file.name, target_size=(side, side))
        pixels = np.expand_dims(keras.utils.img_to_array(image, dtype="uint8"), 0)
        return jsonify(model.predict(pixels, verbose=0)[0].tolist())

    app.run("127.0.0.1", given.port)


if __name__ == "__main__":
    main()
