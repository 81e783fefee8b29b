"""Hundreds of spellings of ``--params``, files and variables: each means what it says or is refused in one line.

What is right is not asked of the reader itself: every piece is built with its meaning, or with none.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from universal_simulator.cli import parse_params
from universal_simulator.configuration.tree import nest
from universal_simulator.machine.supervision import Settings
from universal_simulator.shell.configuration_loader import ExperimentLoader, select
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import data_root, store_file, tracking_address

FUZZ = settings(max_examples=100, deadline=None, derandomize=True, database=None)
REFUSED = object()


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    source = Path(__file__).parents[2] / "conf"
    return ExperimentLoader(source, "base", {}, base_env="base", default_run_env="local")


def outcome(ask):
    """Return what came out, or the mark of a refusal; anything but a mistake told in one line goes through as a failure."""
    try:
        return ask()
    except InputError as refused:
        line = str(refused)
    assert len(line.splitlines()) == 1
    assert len(line) < 1000
    return REFUSED


def zeros(number: int) -> st.SearchStrategy[str]:
    return st.integers(0, 3).map(lambda count: f"{'0' * count}{number}")


def numbered(path: str, low: int, high: int) -> st.SearchStrategy:
    """Build ``path``, a text and the whole number that it means; zeros before a decimal mean nothing."""
    decimal = st.integers(low, high).flatmap(lambda number: zeros(number).map(lambda text: (path, text, number)))
    other = st.integers(low, high).flatmap(
        lambda number: st.sampled_from([hex(number), f"0o{number:o}", f"{number}.0", f"+{number}", f"'{number}'"]).map(
            lambda text: (path, text, number)
        )
    )
    return decimal | other


NO_NUMBER = ["1:30", "1:30:00", "yes", "on", "true", "2,2", "2;2", "[2]", "{a: 2}", "0b11", "0o8", "0x", "--2", "2 2", "2e", "nan",
             ".inf", "", "~", "null", "2.5", "'", "[", "\x00", "²", "-1", "9" * 400, "&a", "${seed}", "2000-01-01"]  # fmt: skip
GOOD = numbered("seed", 0, 2**31 - 1) | numbered("operator.training.epochs", 1, 10**6) | numbered("data.test", 1, 10**4)
BAD = st.tuples(
    st.sampled_from(["seed", "operator.training.epochs", "data.test"]), st.sampled_from(NO_NUMBER), st.just(REFUSED)
)
WORDS = st.text("abc.:=,[]{}'\"#%&*!|>~$\\ \t0123", min_size=1, max_size=12)


@FUZZ
@given(pieces=st.lists(GOOD | BAD, min_size=1, max_size=4))
def test_of_params_every_value_arrives_or_all_are_refused(loader, pieces):
    text = ",".join(f"{path}={written}" for path, written, _ in pieces)
    tree = outcome(lambda: loader._merged(["golden"], nest(parse_params(text))))
    meant = {path: meaning for path, _, meaning in pieces}
    if any(meaning is REFUSED for *_, meaning in pieces) and tree is not REFUSED:  # a later one may have replaced it
        assert REFUSED not in meant.values()
    if all(meaning is not REFUSED for *_, meaning in pieces):
        assert tree is not REFUSED
    if tree is not REFUSED:
        assert {path: select(tree, path) for path in meant} == meant


@FUZZ
@given(words=st.lists(WORDS, min_size=1, max_size=3), at=st.integers(0, 3))
def test_no_stray_word_among_params_is_passed_over(loader, words, at):
    """None of them is a parameter's or an experiment's name, so whatever is more than commas and blanks is refused."""
    known = ["seed=3", "data.test=5"]
    text = ",".join([*known[:at], *words, *known[at:]])

    def read():
        params = parse_params(text)
        return loader._merged([str(name) for name in params.pop("experiment", ["golden"])], nest(params))

    if outcome(read) is not REFUSED:
        assert not "".join(words).strip(", \t")


@FUZZ
@given(pieces=st.lists(GOOD | BAD, min_size=1, max_size=3), noise=st.binary(max_size=3), at=st.integers(0, 60))
def test_of_a_file_every_value_arrives_or_it_is_refused(loader, tmp_path_factory, pieces, noise, at):
    whole = "".join(f"{path}: {written}\n" for path, written, _ in pieces).encode()
    path = tmp_path_factory.getbasetemp() / "fuzz.yml"
    path.write_bytes(whole[:at] + noise + whole[at:])
    tree = outcome(lambda: loader._validated([loader._read_file(str(path))]))
    if not noise and tree is not REFUSED:
        assert {path: select(tree, path) for path, *_ in pieces} == {path: meaning for path, _, meaning in pieces}
        assert len({path for path, *_ in pieces}) == len(pieces)
    if not noise and tree is REFUSED:
        stands_twice = len({path for path, *_ in pieces}) < len(pieces)
        assert stands_twice or any(meaning is REFUSED for *_, meaning in pieces)


@FUZZ
@given(said=st.text("ab/~%?#.: ü\\[]*$", max_size=16))
def test_of_variables_every_place_is_whole_and_absolute_or_refused(said, tmp_path_factory):
    project = tmp_path_factory.getbasetemp()
    environment = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with pytest.MonkeyPatch.context() as variables:
        variables.setattr(os, "environ", environment | {"UNIVERSAL_SIMULATOR_DATA": said, "HOME": "/home/me"})
        place = outcome(lambda: data_root(project))
        if place is not REFUSED:
            typed = said.strip() or "data"
            meant = Path(typed) if not typed.startswith("~") else Path("/home/me") / typed[1:].lstrip("/")
            assert place == Path(os.path.normpath(project / meant))
            assert store_file(tracking_address(project)) == place / "mlflow" / "mlflow.db"
        environment["MLFLOW_TRACKING_URI"] = said
        variables.setattr(os, "environ", environment)
        address = outcome(lambda: tracking_address(project))
        assert address is REFUSED or "://" in address or ":/" in address


@FUZZ
@given(said=st.text("0123456789.e+-_ infa", max_size=6) | st.sampled_from(NO_NUMBER))
def test_of_variables_every_limit_is_a_number_above_zero_or_refused(said):
    limits = outcome(lambda: Settings.from_environment({"MACHINE_TIME_LIMIT_MIN": said.replace("\x00", "")}))
    assert limits is REFUSED or limits.time_limit_min > 0
