"""What was published is known before it comes: which file, how large, how many samples, what is wrong with it."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raw_files import write_flow, write_gas
from universal_simulator.acquisition import download
from universal_simulator.acquisition.archive import FILES, Published, chosen
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.sources import acquire
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
from universal_simulator.configuration.tree import nest, overlay
from universal_simulator.pipelines.data_engineering import nodes
from universal_simulator.problems import find, names
from universal_simulator.support.errors import InputError

from .servers import Behaviour, web_server

RAND = "1D_CFD_Rand_Eta0.01_Zeta0.01_periodic_Train.hdf5"
SHOCK = "1D_CFD_Shock_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5"


def data(**given: object) -> Data:
    source = {"kind": "published"} | given.pop("source", {})
    return Data(source=source, train=4, validation=2, test=2, time_stride=1, **given)


def refused(problem: str, given: Data) -> str:
    with pytest.raises(InputError) as said:
        chosen(find(problem), given)
    assert "\n" not in str(said.value)
    return str(said.value)


@pytest.mark.parametrize(
    ("problem", "parameters", "name"),
    [
        ("burgers", {}, "1D_Burgers_Sols_Nu0.01.hdf5"),
        ("advection", {"beta": (7.0,)}, "1D_Advection_Sols_beta7.0.hdf5"),
        ("reaction_diffusion", {"nu": (0.5,), "rho": (10.0,)}, "ReacDiff_Nu0.5_Rho10.0.hdf5"),
        ("compressible", {}, RAND),
        ("compressible", {"eta": (1e-8,), "zeta": (1e-8,)}, "1D_CFD_Rand_Eta1.e-8_Zeta1.e-8_periodic_Train.hdf5"),
        ("diffusion_sorption", {}, "1D_diff-sorp_NA_NA.h5"),
        ("diffusion_reaction", {}, "2D_diff-react_NA_NA.h5"),
    ],
)
def test_a_problem_and_its_parameters_tell_the_file(problem, parameters, name):
    assert [one.name for one in chosen(find(problem), data(parameters=parameters))] == [name]


def test_the_sizes_are_those_that_the_repository_prints():
    """In its units, of 2^30 bytes, for the families whose sum it gives without test files."""

    def total(begins: str) -> float:
        return sum(one.gigabytes for one in FILES.values() if one.name.startswith(begins)) * 1e9 / 2**30

    printed = {"1D_Burgers": 93, "ReacDiff": 62, "2D_rdb": 6.2}
    assert {begins: total(begins) for begins in printed} == pytest.approx(printed, rel=0.03)
    assert FILES["1D_Burgers_Sols_Nu0.01.hdf5"].gigabytes == pytest.approx(8.23, abs=0.01)


def test_ids_and_checksums_are_told_apart_and_none_is_outdated():
    everything = FILES.values()
    assert len({one.number for one in everything}) == len({one.md5 for one in everything}) == len(FILES) == 55
    assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for md5 in [*(one.md5 for one in everything), *download.OUTDATED])
    assert not set(download.OUTDATED) & {one.md5 for one in everything}
    assert {one.family.problem for one in everything} - {""} <= set(names())


@pytest.mark.parametrize(
    ("problem", "given", "said"),
    [
        ("burgers", {"parameters": {"nu": (0.03,)}}, "nu = 0.03: not published for burgers, must be one of (nu) 0.001; 0.002"),
        ("reaction_diffusion", {}, "nu = 0.005, rho = 10: not published for reaction_diffusion, must be one of (nu, rho) 0.5, 1; 0.5, 2"),
        ("compressible_open", {"parameters": {"eta": (1e-8,), "zeta": (1e-8,)}}, "must tell one published file, 2 fit; name it in data.source.files"),
        ("heat", {}, "problem = heat: not published, must be one of advection, burgers, compressible"),
        ("shallow_water", {}, "2D_rdb_NA_NA.h5 holds h alone, must hold h, hu, hv; solve it, or read that file as it is: problem=data_only"),
        ("data_only", {}, "data.source.files = empty: must be published for data_only: 1D_Advection"),
        ("data_only", {"source": {"files": ["mine.h5"]}}, "data.source.files = mine.h5: must be published for data_only"),
        ("burgers", {"source": {"files": [RAND]}}, f"data.source.files = {RAND}: must be published for burgers: 1D_Burgers"),
        ("heat", {"source": {"files": [RAND]}}, "must be published for heat: left out, as none holds its channels"),
    ],
)  # fmt: skip
def test_what_was_not_published_is_refused_with_what_was(problem, given, said):
    assert said in refused(problem, data(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": {"files": [RAND, RAND]}}, "must differ; drop the repeated one"),
        (
            {"source": {"files": [RAND]}, "parameters": {"eta": (0.1,)}},
            "parameters; drop either (data.parameters=null drops an experiment's)",
        ),
        ({"source": {"files": [RAND, SHOCK, "c"]}}, "train = 4 must be a multiple of the 3"),
    ],
)
def test_named_files_stand_in_place_of_parameters(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        data(**given)


def test_files_are_named_where_several_have_the_same_parameters():
    problem, given = find("compressible_open"), data(source={"files": [SHOCK]})
    assert [one.vector(problem) for one in chosen(problem, given)] == [(1e-8, 1e-8)]
    assert [one.path.name for one in RawStore(Path("x"), "compressible_open").files(given)] == [SHOCK]
    assert RawStore(Path("x"), "data_only").files(given)[0].parameters is None


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return a small file, which stands for a published one."""
    grid = find("compressible").grid.resized((16,))
    u = np.random.default_rng(0).uniform(1, 2, (8, 6, 3, 16)).astype(np.float32)
    write_gas(tmp_path / "small", u, grid, eta=0.01, zeta=0.01)
    content = (tmp_path / "small").read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(FILES, RAND, replace(FILES[RAND], md5=md5, shape=(8, 6, 16)))
    return content


def test_a_published_file_comes_is_told_and_is_read(tmp_path, small, caplog):
    caplog.set_level("INFO")
    store = RawStore(tmp_path / "raw", "compressible")
    with web_server(Behaviour(small)) as address:
        given = data(source={"address": address + "/{id}"})
        made = acquire(store, given)
    assert made[RAND]["address"].endswith("/164672")
    assert caplog.text.index("to come from the archive") < caplog.text.index("MB came")
    assert "9.22e-06 GB" in caplog.text
    assert "PDEBench's compressible: the viscosities are kinematic" in caplog.text
    layout = store.layout(store.files(given)[0])
    assert check(layout).samples == 8
    assert layout.facts.names == ("density", "velocity", "pressure")


def test_a_file_under_its_published_name_is_the_users_own_as_well(tmp_path, small):
    local = Data(source={"kind": "local"}, train=4, validation=2, test=2, time_stride=1)
    store = RawStore(tmp_path, "compressible")
    ours = find("compressible").file_name((0.01, 0.01))
    assert [one.path.name for one in store.files(local)] == [ours]
    (tmp_path / RAND).write_bytes(small)
    assert [one.path.name for one in store.files(local)] == [RAND]
    (tmp_path / ours).write_bytes(small)
    assert [one.path.name for one in store.files(local)] == [ours]


def test_without_room_for_all_files_nothing_is_asked_for(tmp_path, monkeypatch):
    """Two files of 8.2 GB each do not fit where there is room for one."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 12_000_000_000})())
    server = Behaviour(b"")
    with web_server(server) as address, pytest.raises(InputError, match=r"free space = 12\.00 GB .* at least 16\.6"):
        acquire(
            RawStore(tmp_path, "burgers"),
            data(source={"address": address + "/{id}"}, parameters={"nu": (0.01, 0.1)}),
        )
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "reason"), [("1D_Advection_Sols_beta0.4.hdf5", "twice its speed"), (RAND, "of that kind")]
)
def test_a_faulty_release_is_refused_with_the_reason(tmp_path, monkeypatch, name, reason):
    """Its md5 is that of a file of gigabytes: here a small one stands for it."""
    why = download.OUTDATED["99d57a5a8d660ba2cb824f41e09c6543"] if "Adv" in name else "release of that kind"
    monkeypatch.setitem(download.OUTDATED, hashlib.md5(b"small").hexdigest(), why)
    (tmp_path / name).write_bytes(b"small")
    one = FILES[name]
    assert isinstance(one, Published)
    with pytest.raises(InputError, match=rf"md5 = .* must be {one.md5}.*{reason}"):
        download.provide_published(tmp_path / name, data().source)


def card(store: RawStore, given: Data) -> str:
    """Go through the data side, and return what it says of the files."""
    manifest = nodes.validate(store, acquire(store, given), given)
    train, *_ = nodes.split_trajectories(store, manifest, given)
    return nodes.describe(store.name, given, manifest, nodes.measure_statistics(train.open(), given))


def test_the_card_of_a_published_file_says_what_is_known_of_it(tmp_path, small):
    """A file is the archive's by its checksum: of one that only has its name nothing is claimed."""
    store = RawStore(tmp_path / "raw", "compressible")
    with web_server(Behaviour(small)) as address:
        said = card(store, data(source={"address": address + "/{id}"}))
    for told in (
        "DOI 10.18419/darus-2986, licence CC BY 4.0",
        "arXiv 2210.07182",
        f"Γ = 5/3, on (-1, 1), half of the initial fields windowed: {RAND}",
        "known of them: the pressure of one run at t = 0 is ten times the density of the next",
    ):
        assert told in said
    assert "The published files" not in card(store, data(source={"kind": "local"}))


def test_the_card_says_what_a_file_holds_that_is_not_used(tmp_path):
    u = np.random.default_rng(0).normal(size=(8, 5, 3, 8, 8)).astype(np.float32)
    write_flow(tmp_path / "own.h5", u, u[:, 0, :2])
    said = card(RawStore(tmp_path, "data_only"), data(source={"kind": "local"}))
    assert "own.h5: force does not change in time: it is checked, but no model is told of it" in said


def test_an_outdated_file_of_the_users_own_is_refused_and_others_are_not_read_for_it(tmp_path, small, monkeypatch):
    local, store = data(source={"kind": "local"}), RawStore(tmp_path, "compressible")
    (tmp_path / RAND).write_bytes(small)
    assert acquire(store, local) == {RAND: {}}
    monkeypatch.setitem(download.OUTDATED, hashlib.md5(small).hexdigest(), "outdated release of that kind")
    with pytest.raises(InputError, match=r"md5 = .* must be that of a later release, this is the outdated release of"):
        acquire(store, local)
    monkeypatch.setattr(download, "OVERHEAD", 0)
    monkeypatch.setattr(download, "checksum", lambda _: pytest.fail("read, though it has another size"))
    assert acquire(store, local) == {RAND: {}}


def test_the_parameters_that_an_experiment_states_can_be_dropped_for_named_files():
    stated = {"data": {"parameters": {"eta": [0.1]}, "source": {"kind": "published"}}}
    asked = overlay(stated, nest({"data.parameters": None, "data.source.files": [RAND]}))["data"]
    assert data(**asked).given == ({},)
