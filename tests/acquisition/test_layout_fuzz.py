"""Damaged files of the layouts for any field: refused in one line, or read as what they were."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from damages import DAMAGES
from raw_files import PLANE, write_flow, write_gas, write_groups, write_well, write_well_by_hand
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.acquisition.store import Part, Selection
from universal_simulator.catalog.trajectories import TrajectoriesDataset
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

PROBLEM = find("diffusion_reaction")
GRID = PROBLEM.grid.resized((6, 8))
OPEN = Asked(find("data_only").facts, open_facts=True)
FLOW = Grid(axes=tuple(Axis(name=name, points=n, sides=("wall", "wall")) for name, n in (("x", 6), ("y", 8))))
GAS = Grid(axes=(Axis(name="x", points=6), Axis(name="y", points=8)))
LINE = Grid.interval(32)
ROWS = (2, 1)


@dataclass(frozen=True)
class Case:
    """A layout, how a file of it is written, and what must be read from it."""

    write: Callable[[Path, np.ndarray], None]
    asked: Asked
    grid: Grid
    channels: int = 2
    checksummed: bool = False
    """Whether every wrong number is noticed; else the structure alone still must be right."""
    step: float = 0.5
    name: str = "own.hdf5"
    order: tuple[int, ...] = ()
    """In which channels are read, where that is another than they are written in."""


def ours(path: Path, u: np.ndarray) -> None:
    write_well(path, u, GRID, facts=PROBLEM.facts)


def groups(path: Path, u: np.ndarray) -> None:
    write_groups(path, u, GRID)


def others(path: Path, u: np.ndarray) -> None:
    write_well_by_hand(path, {"t0_fields/u": u[:, :, 0], "t0_fields/v": u[:, :, 1]}, len(u), GRID)


def coefficients(path: Path, u: np.ndarray) -> None:
    """Vectors, a tensor whose components lie in one axis, a field that does not change, a number for each sample."""
    stress, flow = np.moveaxis(u[:, :, :4], 2, -1), np.moveaxis(u[:, :, 4:], 2, -1)
    fields = {"t1_fields/flow": flow, "t2_fields/stress": stress, "t0_fields/speed": u[:, 0, 0]}
    write_well_by_hand(path, fields, len(u), GRID)
    with h5py.File(path, "r+") as file:
        file["t0_fields/speed"].attrs["time_varying"] = False
        file["scalars/Ra"] = np.arange(1.0, 1 + len(u))
        file["scalars/Ra"].attrs.update({"sample_varying": True, "time_varying": False})


def gas(path: Path, u: np.ndarray) -> None:
    write_gas(path, u, GAS, eta=0.1, zeta=0.1, M=1.0)


def flow(path: Path, u: np.ndarray) -> None:
    write_flow(path, u, u[:, 0, :2], "domain_size: [1, 1]\nNU: 0.01")


def tensor(path: Path, u: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["tensor"], file.attrs["beta"] = u[None, :, :, 0], 0.4
        file["x-coordinate"], file["t-coordinate"] = LINE.axes[0].centres().numpy(), np.arange(6) * 0.01


KNOWN = Asked(PROBLEM.facts, PROBLEM.grid, ())
CASES = {
    "ours": Case(ours, KNOWN, GRID, checksummed=True),
    "The Well": Case(others, KNOWN, GRID),
    "coefficients": Case(coefficients, OPEN, GRID, 6, order=(4, 5, 0, 1, 2, 3)),
    "groups": Case(groups, KNOWN, GRID),
    "tensor": Case(tensor, Asked(find("advection").facts, None, (0.4,)), LINE, 1, step=0.01),
    "gas": Case(gas, OPEN, GAS, 4, step=0.05, name="own_periodic.hdf5"),
    "incompressible": Case(flow, OPEN, FLOW, 3, step=0.005),
}


def outcome(path: Path, case: Case, expected: np.ndarray) -> str:
    """Read as the pipeline does; return ``refused`` or ``right``, and fail at anything else."""
    split = TrajectoriesDataset(str(path.with_name("split.json")))
    try:
        layout = read_layout(path, case.asked)
        check(layout)
        if layout.conditions is not None:
            assert layout.conditions[ROWS].shape == (2, len(layout.conditions.names), *case.grid.shape)
        part = Part(file=str(path), parameters=case.asked.parameters, rows=ROWS)
        split.save(Selection(facts=layout.facts, grid=layout.grid, parts=(part,)))
        got = split.load().read([0, 1]).numpy()
    except InputError as error:
        return "refused" if "\n" not in str(error) else "refused in many lines"
    told = [[(axis.name, axis.sides) for axis in grid.axes] for grid in (layout.grid, case.grid)]
    assert told[0] == told[1]
    ends = ([(axis.lower, axis.upper) for axis in grid.axes] for grid in (layout.grid, case.grid))
    assert np.allclose(*ends, atol=0.01)
    assert layout.grid.shape == case.grid.shape
    assert np.allclose(layout.times, np.arange(5) * case.step, rtol=0.01)
    assert got.shape == (2, *expected.shape[1:])
    assert (got != expected[list(ROWS)]).mean() < 0.5, "no damage is so large: it was read from another place"
    if case.checksummed:
        assert layout.shape == expected.shape
        assert (got == expected[list(ROWS)]).all()
    return "right"


FEW = (*range(14), 110)  # with 110, the index of an incompressible file names a place that is none
MANY = range(200)


@pytest.mark.parametrize("variants", [FEW, pytest.param(MANY, marks=pytest.mark.long)], ids=["few", "many"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_damaged_file_is_refused_or_read_right(tmp_path, case, variants):
    """With checksums no wrong number passes either; without them (others' files) the structure still must be right."""
    u = np.random.default_rng(0).uniform(1, 2, (3, 5, case.channels, *case.grid.shape)).astype(np.float32)
    case.write(tmp_path / "whole.hdf5", u)
    original = (tmp_path / "whole.hdf5").read_bytes()
    counts = {"refused": 0, "right": 0}
    for number in variants:
        content, damage = bytearray(original), DAMAGES[number % len(DAMAGES)]
        damage(content, np.random.default_rng([6, number]))
        path = tmp_path / str(number) / case.name
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            counts[outcome(path, case, u[:, :, case.order] if case.order else u)] += 1
        except Exception as error:
            error.add_note(f"variant {number}, {damage.__name__}")
            raise
        assert {file.name for file in path.parent.iterdir()} <= {path.name, "split.json"}
    print(f"refused {counts['refused']}, read right {counts['right']} of {len(variants)}")  # noqa: T201 - figures for docs
    assert counts["refused"] > len(variants) / 4
    assert counts["right"] > 0


THINGS = [..., "text", b"bytes", 3, np.zeros((2, 2)), h5py.Empty("f4"), np.array([True]), 1j, np.full((3, 5, 6, 8), "a", "S1")]  # fmt: skip


@pytest.mark.parametrize("name", ["The Well", "groups", "gas", "incompressible"])
def test_wrong_types_are_refused(tmp_path, name):
    """A group, texts, integers and empty things in every place where an array belongs."""
    case = CASES[name]
    case.write(path := tmp_path / "whole.hdf5", np.ones((3, 5, case.channels, *case.grid.shape), np.float32))
    places: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, node: places.append(name) if isinstance(node, h5py.Dataset) else None)
    original = path.read_bytes()
    for place in (name for name in places if "boundary" not in name and not name.startswith("0001")):
        for thing in THINGS:
            path.write_bytes(original)
            with h5py.File(path, "r+") as file:
                del file[place]
                file.create_group(place) if thing is ... else file.__setitem__(place, thing)
            with pytest.raises(InputError) as refused:
                read_layout(path, case.asked)
            assert "\n" not in str(refused.value), f"{place} = {thing}"


def test_the_plane_of_the_other_tests_is_not_square():
    """Or a transposition would pass unseen."""
    assert PLANE.shape != PLANE.shape[::-1]
    assert isinstance(GRID, Grid)
    assert GRID.shape == PLANE.shape
