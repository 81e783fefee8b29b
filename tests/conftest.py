"""One thread for the numerical libraries: the tests' tensors are small, and the machine may be shared."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch
