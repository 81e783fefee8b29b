"""``kedro run``: what can be typed, and what is refused before any work."""

import re

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project

from universal_simulator.cli import parse_params, run
from universal_simulator.support.errors import InputError


@pytest.fixture
def kedro_run():
    """Return ``kedro run`` as a function of its arguments."""
    configure_project("universal_simulator")
    return lambda *arguments: CliRunner().invoke(run, arguments)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", {}),
        ("sota_v1", {"experiment": ["sota_v1"]}),
        ("sota_v1,a.b=3", {"experiment": ["sota_v1"], "a.b": 3}),
        ("sota_v1 , dry_run", {"experiment": ["sota_v1", "dry_run"]}),
        ("experiment=sota_v1", {"experiment": ["sota_v1"]}),
        ("a.b=[2,2,2],c=(1)", {"a.b": [2, 2, 2], "c": "(1)"}),
        ("a={x: 1, y: [1, 2]},b=true", {"a": {"x": 1, "y": [1, 2]}, "b": True}),
        ("a=1e-3,b='x,y',c=null", {"a": 1e-3, "b": "x,y", "c": None}),
        ("a=x=y", {"a": "x=y"}),
        ("from_run=12e4,seed=1", {"from_run": "12e4", "seed": 1}),
        ("a=${oc.env:HOME}", {"a": "${oc.env:HOME}"}),
    ],
)
def test_names_and_values_are_told_apart(text, meaning):
    assert parse_params(text) == meaning


@pytest.mark.parametrize("text", ["=3", "a=[1,2", "a={x: 1", "a='x"])
def test_half_a_parameter_is_refused(text):
    with pytest.raises(InputError):
        parse_params(text)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--params=sota_v11"], "experiment = sota_v11: no such experiment; did you mean sota_v1?"),
        (["--params=golden,operator.trainng.epochs=3"], "did you mean operator.training?"),
        (["--params=operator.training.epochs=-1"], "operator.training.epochs = -1: must be greater than or equal to 1"),
        (["--params==3"], "params = =3: a parameter needs a name"),
        (["--params=operator.network.depths=[1,"], "must be a YAML value"),
        (["--pipeline=fulll"], "pipeline = fulll: no such pipeline; did you mean full?"),
        (["--pipelines=full,evaluatoin"], "did you mean evaluation?"),
        (["--env=nowhere"], "env = nowhere: its folder must exist"),
        (["--nodes=nope"], "node_names = nope: must fit the pipeline"),
    ],
)
def test_a_typing_mistake_ends_in_one_line_and_writes_nothing(kedro_run, data, arguments, line):
    result = kedro_run(*arguments)
    assert result.exit_code == 1
    assert line in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert not data.exists()


def test_the_help_lists_the_experiments_with_their_purpose_and_examples(kedro_run):
    text = kedro_run("--help").output
    assert re.search(r"sota_v2 +as sota_v1, twice as deep: does depth help\?", text)
    assert "kedro run --pipelines=full --params=sota_v1,operator.training.epochs=3" in text


@pytest.mark.parametrize("option", ["-p", "--pipeline", "--pipelines"])
def test_every_spelling_of_the_pipeline_option_is_taken_without_a_warning(kedro_run, option, recwarn):
    result = kedro_run(option, "nope")
    assert "pipeline = nope: no such pipeline" in result.output
    assert not [warning for warning in recwarn if "deprecated" in str(warning.message)]
