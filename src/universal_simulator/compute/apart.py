"""Work in a thread of its own, where nothing that the caller has set for itself or for the process changes a number.

A thread begins without the caller's autocast, gradient and inference modes, default device and function modes. What
belongs to the whole process is answered here: float64 as the default type is overruled in this thread alone, and how
many cores it may use is a number of this thread's own.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.overrides import TorchFunctionMode

from universal_simulator.support.errors import InputError

T = TypeVar("T")
SINGLE = {torch.float64: torch.float32, torch.complex128: torch.complex64}
MAKERS = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.linspace, torch.logspace, torch.eye,
          torch.fft.fftfreq, torch.fft.rfftfreq)  # fmt: skip
"""What makes tensors of the default type."""
DOUBLED = (Tensor.double, Tensor.type)
"""What names double precision without an argument that is a type."""
DRAWN = (Tensor.uniform_, Tensor.normal_)


def apart(work: Callable[[], T], threads: int | None = None, drawing: bool = True) -> T:
    """Return what ``work`` returns, or raise what it raises, in a thread of its own on so many cores.

    By default these are as many as the caller's. Without ``drawing`` networks are built without first weights, and
    torch's own random numbers stay as they were: for those who fill all of them anyhow.
    """
    answer: Future[T] = Future()
    count = threads or torch.get_num_threads()

    def run() -> None:
        try:
            with _cores(count), single_precision(drawing):
                torch.set_flush_denormal(True)
                answer.set_result(work())
        except BaseException as error:  # all of it is the caller's, an interruption too
            answer.set_exception(error)

    worker = threading.Thread(target=run, name="apart", daemon=True)
    worker.start()
    try:
        return answer.result()
    except BaseException:
        if not answer.done():  # the caller was interrupted, not the work: so is the work, at its next line
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(SystemExit))
        raise
    finally:
        worker.join()


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """Let this thread, and no other, compute on so many cores; ``torch.set_num_threads`` would tell them all."""
    torch.get_num_threads()  # the first question of a thread decides its number
    with _pools().limit(limits=count, user_api="openmp"):
        before = _mkl()(count)
        try:
            yield
        finally:
            _mkl()(before)


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _mkl() -> Callable[[int], int]:
    """Return MKL's own switch for one thread, where torch has MKL in it."""
    switch = getattr(ctypes.CDLL(torch._C.__file__), "MKL_Set_Num_Threads_Local", None)
    return switch if switch is not None else lambda count: count


def single_precision(drawing: bool = True) -> Any:
    """Return a context in which what comes of no double precision is float32, whatever the process prefers."""
    default = torch.get_default_dtype()
    if default not in (torch.float32, torch.float64):
        raise InputError(
            f"torch's default type = {default}: must be float32 or float64, of which models are made; "
            "call torch.set_default_dtype(torch.float32)"
        )
    return nullcontext() if default == torch.float32 and drawing else _SinglePrecision(drawing)


class _SinglePrecision(TorchFunctionMode):
    """Make what comes of no double precision float32, whatever the default type of the process."""

    def __init__(self, drawing: bool) -> None:
        super().__init__()
        self._drawing = drawing

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        told = dict(kwargs or {})
        if not self._drawing and (func in DRAWN or getattr(func, "__module__", "") == "torch.nn.init"):
            return args[0] if args else told["tensor"]
        if func in MAKERS and told.get("dtype") is None:
            told["dtype"] = torch.float32
        found = func(*args, **told)
        if not isinstance(found, Tensor) or found.dtype not in SINGLE or func in DOUBLED:
            return found
        return found if any(map(_names_a_type, (*args, *told.values()))) else found.to(SINGLE[found.dtype])


def _names_a_type(value: Any) -> bool:
    """Tell whether an argument decides a result's type: it is one, or holds numbers of double precision."""
    if isinstance(value, list | tuple):
        return any(map(_names_a_type, value))
    if isinstance(value, Tensor):
        return value.dtype in SINGLE
    return isinstance(value, torch.dtype) or hasattr(value, "__array__")
