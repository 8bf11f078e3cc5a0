"""The embedded model, as the tests of the model have it."""

from tests.model.conftest import backend

__all__ = ["backend"]
