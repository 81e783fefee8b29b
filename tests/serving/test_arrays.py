"""Whatever holds numbers is forecast as those numbers, or refused in one line: never as others."""

import array

import numpy as np
import pandas as pd
import pytest
import torch

from universal_simulator.serving.arrays import like, numbers, truth, whole
from universal_simulator.support.errors import InputError

PLAIN = np.arange(-3.0, 5.0)


class Named:
    """An array as xarray has them."""

    dims = ("x",)

    def __array__(self, dtype=None, copy=None):
        return PLAIN.astype(dtype)


def read_only():
    given = PLAIN.copy()
    given.flags.writeable = False
    return given


@pytest.mark.parametrize(
    "given",
    [
        PLAIN[::-1].copy()[::-1],
        np.repeat(PLAIN, 2)[::2],
        PLAIN.astype(">f8"),
        PLAIN.astype(">i2"),
        PLAIN.astype(np.float16),
        PLAIN.astype(np.int8),
        PLAIN.astype(np.longdouble),
        PLAIN.astype(object),
        np.ma.masked_array(PLAIN, mask=False),
        read_only(),
        PLAIN.tolist(),
        tuple(PLAIN),
        array.array("d", PLAIN),
        range(-3, 5),
        [torch.tensor(value) for value in PLAIN],
        pd.Series(PLAIN, index=range(8, 0, -1)),
        pd.array(PLAIN.astype(int)),
        Named(),
        torch.tensor(PLAIN),
        torch.tensor(PLAIN, requires_grad=True),
        torch.tensor(PLAIN).to(torch.int32),
        torch.tensor(PLAIN).half(),
        torch.tensor(PLAIN).bfloat16(),
        torch.tensor(np.repeat(PLAIN, 3))[::3],
        torch.complex(torch.zeros(8), -torch.tensor(PLAIN).float()).conj().imag,
    ],
    ids=lambda given: f"{type(given).__name__}-{getattr(given, 'dtype', '')}",
)
def test_every_kind_of_array_is_read_as_its_numbers(given):
    found = numbers("u0", given)
    assert found.tolist() == PLAIN.tolist()
    assert (found.dtype, found.requires_grad, found.is_contiguous()) == (torch.float64, False, True)


def test_what_was_read_is_a_copy():
    given = PLAIN.copy()
    numbers("u0", given).zero_()
    numbers("u0", tensor := torch.tensor(PLAIN)).zero_()
    assert given.tolist() == tensor.tolist() == PLAIN.tolist()


def test_fields_in_a_list_may_be_arrays_and_tensors_that_need_gradients():
    found = numbers("u0", [PLAIN[::-1], torch.tensor(PLAIN, requires_grad=True)])
    assert found.tolist() == [PLAIN[::-1].tolist(), PLAIN.tolist()]


def test_truths_are_numbers_only_where_they_may_be():
    assert numbers("u0", np.array([True, False])).tolist() == [1, 0]
    for given in (True, np.array([True]), torch.tensor([True])):
        with pytest.raises(InputError, match=r"viscosity = .*: must hold real numbers"):
            numbers("viscosity", given, truths=False)


MASKED = np.ma.masked_array(PLAIN, mask=PLAIN > 2)


class Quantity(np.ndarray):
    unit = "m/s"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (MASKED, r"u0 = 2 masked points in it: must be whole; fill what is missing, or remove it"),
        ([PLAIN, MASKED], r"u0 = 2 masked points in it: must be whole"),
        ([1.0, np.ma.masked], "u0 = 1 masked points in it"),
        (PLAIN.view(Quantity), r"u0 = Quantity with a unit: must be plain numbers in the equation's units"),
        (PLAIN.astype(str), r"u0 = ndarray: must hold real numbers \(<U\d+ in it\); convert it"),
        (np.array([1.0, "2.0", None], object), r"u0 = ndarray: must hold real numbers \(str in it\)"),
        (pd.array([1, None]), r"u0 = nan at \[1\], 1 such in all: must be finite"),
        (pd.DataFrame({"x": ["a", "b"]}), r"u0 = DataFrame: must hold real numbers"),
        (np.array(["2020-01-01"], "datetime64[D]"), r"must hold real numbers \(datetime64\[D\] in it\)"),
        (np.zeros(3, [("x", float)]), "must hold real numbers"),
        (PLAIN + 0j, r"must hold real numbers \(complex128 in it\)"),
        (torch.tensor(PLAIN) + 0j, r"must hold real numbers \(complex numbers\)"),
        (torch.tensor(PLAIN, device="meta"), "u0 = meta Tensor: must hold real numbers, all of them"),
        (torch.eye(8).to_sparse(), "u0 = sparse_coo Tensor: must hold real numbers, all of them"),
        ([[1.0, 2.0], [3.0]], "u0 = list: must hold real numbers"),
        ([PLAIN, PLAIN[:3]], "u0 = list: must hold real numbers"),
        ((value for value in PLAIN), r"u0 = generator: must hold real numbers \(generator in it\)"),
        ({"u": PLAIN}, r"u0 = dict: must hold real numbers \(dict in it\)"),
        ("0.1", "u0 = str: must hold real numbers"),
        (None, r"u0 = NoneType: must hold real numbers \(NoneType in it\)"),
        ([[1.0, 1.0], [1.0, np.nan]], r"u0 = nan at \[1, 1\], 1 such in all: must be finite; remove what is missing"),
        ([1.0, -np.inf], r"u0 = -inf at \[1\]"),
        (np.nan, "u0 = nan: must be finite; remove what is missing"),
        ([1.0, -1e39], r"u0 = 1e\+39 in it: must be at most 3.4e\+38; choose other units"),
        ([10**400], "u0 = list: must hold real numbers"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_not_numbers_is_refused_in_one_line(given, line):
    with np.errstate(all="raise"), pytest.raises(InputError, match=line) as refused:
        numbers("u0", given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [3, np.int64(3), torch.tensor(3), np.array(3)])
def test_whole_numbers_come_in_several_kinds(given):
    assert whole("members", given, 2, 5) == 3


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (True, "members = True: must be a whole number; give one"),
        (2.5, "members = 2.5: must be a whole number"),
        ("3", "members = 3: must be a whole number"),
        (None, "members = None: must be a whole number"),
        (6, "members = 6: must be at least 2 and at most 5; choose one of these"),
        (-6, "members = -6: must be at least 2 and at most 5"),
    ],
)
def test_other_numbers_are_not_made_whole(given, line):
    with pytest.raises(InputError, match=line):
        whole("members", given, 2, 5)


@pytest.mark.parametrize("given", ["false", 0, 1, None, np.array([True])])
def test_only_true_and_false_are_truths(given):
    assert truth("guided", np.bool_(True)) is True
    with pytest.raises(InputError, match=r"guided = .*: must be true or false; give one of them"):
        truth("guided", given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.int32, torch.float32), (torch.bool, torch.float32), (torch.half, torch.float32),
        (torch.float32, torch.float32), (torch.float64, torch.float64),
    ],
)  # fmt: skip
def test_an_answer_is_never_rounded_to_whole_or_half_numbers(given, expected):
    assert like(torch.tensor([0.123456]), torch.ones(1).to(given)).dtype == expected
