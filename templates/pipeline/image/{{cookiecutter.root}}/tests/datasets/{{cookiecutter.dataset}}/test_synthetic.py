"""The generated images of {{cookiecutter.dataset}}: the same for the same seed, and varied."""

import numpy as np

from datasets.{{cookiecutter.dataset}}.synthetic import draw


def test_a_seed_draws_one_image_and_another_seed_another() -> None:
    first, again, other = (draw(0, np.random.SeedSequence([0, n])) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_classes_differ() -> None:
    disc, square = (draw(label, np.random.SeedSequence(0)) for label in (0, 1))
    assert not np.array_equal(disc, square)
