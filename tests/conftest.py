"""One thread for the numerical libraries: the tests' tensors are small, and the machine may be shared."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

import jaxtyping
import pytest


@pytest.fixture
def unchecked():
    """Switch off the check of annotations: what is wrong must be refused by the product, where nothing checks them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
