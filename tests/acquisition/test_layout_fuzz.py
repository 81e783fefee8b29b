"""Damaged files of the layouts for any field: refused in one line, or read as what they were."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from damages import DAMAGES
from raw_files import PLANE, TIMES, two_channels, write_groups, write_well, write_well_by_hand
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.acquisition.store import Part, Selection
from universal_simulator.catalog.trajectories import TrajectoriesDataset
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

VARIANTS = 60
PROBLEM = find("diffusion_reaction")
GRID = PROBLEM.grid.resized((6, 8))
ASKED = Asked(PROBLEM.facts, PROBLEM.grid, ())
ROWS = (2, 1)


def ours(path: Path, u: np.ndarray) -> None:
    write_well(path, u, GRID, facts=PROBLEM.facts)


def groups(path: Path, u: np.ndarray) -> None:
    write_groups(path, u, GRID)


def others(path: Path, u: np.ndarray) -> None:
    write_well_by_hand(path, {"t0_fields/u": u[:, :, 0], "t0_fields/v": u[:, :, 1]}, len(u), GRID)


def outcome(path: Path, expected: np.ndarray, checksummed: bool) -> str:
    """Read as the pipeline does; return ``refused`` or ``right``, and fail at anything else."""
    split = TrajectoriesDataset(str(path.with_name("split.json")))
    try:
        layout = read_layout(path, ASKED)
        check(layout)
        part = Part(file=str(path), parameters=(), rows=ROWS)
        split.save(Selection(facts=PROBLEM.facts, grid=layout.grid, parts=(part,)))
        got = split.load().read([0, 1]).numpy()
    except InputError as error:
        return "refused" if "\n" not in str(error) else "refused in many lines"
    assert layout.grid == GRID
    assert np.allclose(layout.times, TIMES)
    assert got.shape == (2, *expected.shape[1:])
    if checksummed:
        assert layout.shape == expected.shape
        assert (got == expected[list(ROWS)]).all()
    return "right"


@pytest.mark.long
@pytest.mark.parametrize(("write", "checksummed"), [(ours, True), (others, False), (groups, False)])
def test_a_damaged_file_is_refused_or_read_right(tmp_path, write, checksummed):
    """With checksums no wrong number passes either; without them (others' files) the structure still must be right."""
    u = two_channels(3, GRID)
    write(tmp_path / "whole.hdf5", u)
    original = (tmp_path / "whole.hdf5").read_bytes()
    counts = {"refused": 0, "right": 0}
    for number in range(VARIANTS):
        content, damage = bytearray(original), DAMAGES[number % len(DAMAGES)]
        damage(content, np.random.default_rng([6, number]))
        path = tmp_path / str(number) / "own.hdf5"
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            counts[outcome(path, u, checksummed)] += 1
        except Exception as error:
            error.add_note(f"variant {number}, {damage.__name__}")
            raise
        assert {file.name for file in path.parent.iterdir()} <= {path.name, "split.json"}
    assert counts["refused"] > VARIANTS / 4
    assert counts["right"] > 0


THINGS = [..., "text", b"bytes", 3, np.zeros((2, 2)), h5py.Empty("f4"), np.array([True]), 1j, np.full((3, 5, 6, 8), "a", "S1")]  # fmt: skip


@pytest.mark.parametrize("write", [others, groups])
def test_wrong_types_are_refused(tmp_path, write):
    """A group, texts, integers and empty things in every place where an array belongs."""
    write(path := tmp_path / "whole.hdf5", two_channels(3, GRID))
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
                read_layout(path, ASKED)
            assert "\n" not in str(refused.value), f"{place} = {thing}"


def test_the_plane_of_the_other_tests_is_not_square():
    """Or a transposition would pass unseen."""
    assert PLANE.shape != PLANE.shape[::-1]
    assert isinstance(GRID, Grid)
    assert GRID.shape == PLANE.shape
