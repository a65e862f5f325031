"""The tracking server of the tests of training, and runs that end with their test."""

from tests.train.conftest import no_run_outlives_its_test, server

__all__ = ["no_run_outlives_its_test", "server"]
