"""Damaged files: refused in one line, or read as what they were; nothing in between, and nothing half-written after."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from damages import DAMAGES
from raw_files import rows_of, write_burgers
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.catalog.trajectories import TrajectoriesDataset
from universal_simulator.serving import files
from universal_simulator.support.errors import InputError

VARIANTS = 300
SAMPLES, TIMES, POINTS = 6, np.arange(5) * 0.01, 32


def outcome(path: Path, expected: np.ndarray, checksummed: bool) -> str:
    """Read as the pipeline does; return ``refused`` or ``right``, and fail at anything else."""
    split = TrajectoriesDataset(str(path.with_name("split.json")))
    try:
        layout = read_layout(path, "Nu", 0.01)
        check(layout)
        split.save(rows_of(path, POINTS, (4, 1)))
        got = split.load().read([0, 1])[:, :, 0].numpy()
    except InputError as error:
        return "refused" if "\n" not in str(error) else "refused in many lines"
    assert layout.shape == (*expected.shape[:2], 1, POINTS)
    assert np.allclose(layout.times, TIMES)
    if checksummed:
        assert (got == expected[[4, 1]]).all()
    return "right"


@pytest.mark.parametrize("checksummed", [True, False], ids=["ours", "without checksums"])
def test_a_damaged_file_is_refused_or_read_right(tmp_path: Path, raw_file, checksummed):
    """With checksums no wrong number passes either; without them (others' files) the structure still must be right."""
    values = np.random.default_rng(1).normal(size=(SAMPLES, len(TIMES), POINTS)).astype(np.float32)
    if checksummed:
        whole = tmp_path / "whole.hdf5"
        write_burgers(whole, values, TIMES, settings=np.bytes_("{}"))
    else:
        whole = raw_file(tensor=values)
    original = whole.read_bytes()
    counts = {"refused": 0, "right": 0}
    for number in range(VARIANTS):
        random = np.random.default_rng([2, number])
        content = bytearray(original)
        DAMAGES[number % len(DAMAGES)](content, random)
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "1D_Burgers_Sols_Nu0.01.hdf5"
        path.write_bytes(content)
        try:
            counts[outcome(path, values, checksummed)] += 1
        except Exception as error:
            error.add_note(f"variant {number}, {DAMAGES[number % len(DAMAGES)].__name__}")
            raise
        left = {file.name for file in folder.iterdir()} - {path.name, "split.json"}
        assert not left, f"variant {number} left {left}"
    assert counts["refused"] > VARIANTS / 4
    assert counts["right"] > 0


def test_wrong_types_are_refused(tmp_path: Path):
    """Groups, strings, integers, objects and empty things in every place where numbers belong."""
    things = ["group", "text", b"bytes", 3, 3.0, np.arange(4), np.zeros((2, 2)), h5py.Empty("f4"), np.array([True]), 1j]
    things += [np.zeros((6, 5, 32, 1), np.float32), np.full((6, 5, 32), "a", "S1"), np.zeros((6, 5, 32), "c8"), None]
    good = {
        "tensor": np.zeros((6, 5, 32), np.float32),
        "x-coordinate": (np.arange(32) + 0.5) / 32,
        "t-coordinate": TIMES,
    }
    for place in (*good, "Nu", "crc32"):
        for number, thing in enumerate(things):
            path = tmp_path / f"{place}{number}.hdf5"
            with h5py.File(path, "w") as file:
                file.attrs["Nu"] = 0.01
                for name, value in {**good, place: thing}.items():
                    if name == "Nu":
                        file.attrs["Nu"] = "none" if thing is None else thing
                    elif value is None or (isinstance(value, str) and value == "group"):
                        file.create_group(name)
                    else:
                        file[name] = value
            with pytest.raises(InputError) as refused:
                read_layout(path, "Nu", 0.01)
            assert "\n" not in str(refused.value), f"{place} = {thing}"


def test_damaged_initial_fields_are_refused_or_read_as_fields(tmp_path: Path, raw_file):
    """``predict``'s reader, in every format: one line, or finite fields of the right shape."""
    fields = np.random.default_rng(3).normal(size=(SAMPLES, POINTS))
    originals = {".h5": raw_file(samples=SAMPLES).read_bytes()}
    np.save(tmp_path / "u0.npy", fields)
    np.savez(tmp_path / "u0.npz", u0=fields, viscosity=0.01)
    np.savetxt(tmp_path / "u0.csv", fields, delimiter=",")
    originals |= {ending: (tmp_path / f"u0{ending}").read_bytes() for ending in (".npy", ".npz", ".csv")}
    counts = {(ending, how): 0 for ending in originals for how in ("refused", "read")}
    for number in range(VARIANTS):
        ending = list(originals)[number % len(originals)]
        random = np.random.default_rng([4, number])
        content = bytearray(originals[ending])
        damage = DAMAGES[number // len(originals) % len(DAMAGES)]
        damage(content, random)
        path = tmp_path / f"damaged{ending}"
        path.write_bytes(content)
        try:
            found = files.read(path)
        except InputError as error:
            counts[ending, "refused in many lines" if "\n" in str(error) else "refused"] += 1
        except Exception as error:
            error.add_note(f"variant {number}, {damage.__name__} of {ending}")
            raise
        else:
            assert np.isfinite(found.u0).all()
            assert found.u0.ndim == 2
            assert ending in (".npy", ".csv") or found.u0.shape == (SAMPLES, POINTS)
            counts[ending, "read"] += 1
    assert all(counts.values()), counts
