"""One thread for the numerical libraries, and annotations that are checked in the first calls of every test."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests' tensors are small, the machine may be shared

import jaxtyping
import jaxtyping._decorator
import pytest

MOST_CHECKED = 2_000
"""Calls of each test whose annotations are checked; a training repeats the same ones a hundred thousand times."""


class FirstCalls(type(jaxtyping.config)):
    """The configuration of jaxtyping, which asks before every call whether to check it."""

    calls, off = 0, False

    @property
    def jaxtyping_disable(self) -> bool:
        self.calls += 1
        return self.off or self.calls > MOST_CHECKED

    @jaxtyping_disable.setter
    def jaxtyping_disable(self, off: bool) -> None:
        self.off = off


gc.disable()  # nothing is garbage of what is imported until all tests are known; to look for some took a fifth of that
jaxtyping._decorator._tb_flag = False  # else it imports jax, for shorter tracebacks
jaxtyping.config.__dict__.pop("jaxtyping_disable")
jaxtyping.config.__class__ = FirstCalls


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    jaxtyping.config.calls = 0


@pytest.fixture
def unchecked():
    """Switch off the check of annotations: what is wrong must be refused by the product, where nothing checks them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
