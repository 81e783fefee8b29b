"""Every spelling and every entrance of ``kedro run`` means what it says, or is refused."""

import pytest
from click.testing import CliRunner
from kedro.framework.cli.project import run as kedro_command
from kedro.framework.project import configure_project

from universal_simulator.cli import parse_params, run
from universal_simulator.shell.configuration_loader import nest
from universal_simulator.support.errors import InputError


@pytest.fixture
def typed(monkeypatch):
    """Return what Kedro would be asked to do for some words, or the line that refuses them."""
    configure_project("universal_simulator")
    asked: dict = {}
    monkeypatch.setattr(kedro_command, "callback", lambda **options: asked.update(options))

    def ask(*words: object):
        asked.clear()
        result = CliRunner().invoke(run, [str(word) for word in words])
        if result.exit_code == 0:
            return dict(asked)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.output.count("Error: ") == 1
        return result.output

    return ask


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("golden,operator.network.depths=2,2,2", "a list must stand in brackets; write operator.network.depths=[2,2]"),
        ("data.viscosities=0.01,0.1", "write data.viscosities=[0.01,0.1]"),
        ("evaluation.ensemble.members=8,null", "a list must stand in brackets"),
        ("seed:3", "name and value must be joined by '='; write seed=3"),
        ("golden,from_run: 12", "write from_run=12"),
        ("from_run=", "from_run = nothing: must have a value"),
        ("experiment=", "experiment = nothing: must have a value"),
        ("=3", "a parameter needs a name"),
        ("seed=" + "9" * 5000, "must be a number that a computer holds"),
    ],
)
def test_another_spelling_is_refused_with_the_right_one(text, line):
    with pytest.raises(InputError) as refused:
        parse_params(text)
    assert line in str(refused.value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("seed=017", {"seed": 17}),
        ("a=[[1,2],[3,4]],b={x: {y: [1, 2]}, z: 3}", {"a": [[1, 2], [3, 4]], "b": {"x": {"y": [1, 2]}, "z": 3}}),
        ("predict.input=/a/it's #1,seed=3", {"predict.input": "/a/it's #1", "seed": 3}),
        ("predict.input='/a,b/u0.npy'", {"predict.input": "/a,b/u0.npy"}),
        ("experiment.purpose=no", {"experiment.purpose": "no"}),
        ("experiment=[sota_v1,dry_run]", {"experiment": ["sota_v1", "dry_run"]}),
        ("golden,,seed=3,", {"experiment": ["golden"], "seed": 3}),
    ],
)
def test_values_keep_their_letters_brackets_and_zeros(text, meaning):
    assert parse_params(text) == meaning


@pytest.mark.parametrize("word", ["a,b", "golden,b"])
def test_a_word_that_is_no_experiment_may_be_meant_for_a_list(load, word):
    with pytest.raises(
        InputError, match=r"no such experiment; a list of values must stand in brackets, key=\[a,b\]; known are"
    ):
        load(**parse_params(f"experiment.tags={word}"))


def test_options_that_are_typed_twice_count_both(typed):
    asked = typed("--params=sota_v1", "--params=seed=3", "--pipeline=predict", "-p", "compare")
    assert asked["params"] == {"experiment": ["sota_v1"], "seed": 3}
    assert asked["pipelines"] == ["predict", "compare"]


@pytest.mark.parametrize("words", [["--pipeline="], ["--pipelines=,"], ["-p", " "]])
def test_an_option_that_names_nothing_does_not_start_everything(typed, words):
    assert "pipelines = nothing: must name a pipeline" in typed(*words)


@pytest.mark.parametrize(
    ("content", "params", "pipelines"),
    [
        ("run: {pipeline: predict, params: 'predict.model=shipped:golden,seed=017'}", {"predict.model": "shipped:golden", "seed": 17}, ["predict"]),
        ("run: {pipelines: [predict, compare], params: {seed: 017, operator: {training: {epochs: 3}}}}", {"seed": 17, "operator": {"training": {"epochs": 3}}}, ["predict", "compare"]),
        ("run: {pipelines: 'predict, compare', params: [sota_v1, seed=3]}", {"experiment": ["sota_v1"], "seed": 3}, ["predict", "compare"]),
        ("run: {params: {experiment: sota_v1}}", {"experiment": "sota_v1"}, []),
        ("run: {}", {}, []),
    ],
)  # fmt: skip
def test_a_file_of_options_is_as_good_as_the_command_line(typed, tmp_path, content, params, pipelines):
    (tmp_path / "run.yml").write_text(content)
    asked = typed("--config", tmp_path / "run.yml")
    assert (asked["params"], asked["pipelines"]) == (params, pipelines)


def test_what_is_typed_goes_before_the_file(typed, tmp_path):
    (tmp_path / "run.yml").write_text(
        "run: {pipeline: predict, params: seed=1, only-missing-outputs: true, nodes: [a, b]}"
    )
    asked = typed("--params=seed=2", f"--config={tmp_path}/run.yml", "--nodes=")
    assert asked["params"] == {"seed": 2}
    assert (asked["pipelines"], asked["only_missing_outputs"], asked["node_names"]) == (["predict"], True, [])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("run: {pipelin: predict}", "run.pipelin: no such option; did you mean pipeline"),
        ("run: {pipeline: predict, pipelines: compare}", "run.pipelines: must stand once"),
        ("run: {pipeline: predict, pipeline: compare}", "pipeline stands twice"),
        ("run: {pipeline: {predict: 1}}", "run.pipeline = {'predict': 1}: must be a text or a list of words"),
        ("run: {params: [{seed: 3}]}", "must be a text or a list of words"),
        ("run: {params: }", "run.params = None: must be a text"),
        ("run: {params: true}", "run.params = True: must be a text"),
        ("run: {async: 3}", "run.async = 3: must be true or false"),
        ("run: {pipeline: fulll}", "pipeline = fulll: no such pipeline"),
        ("run: {pipeline: ''}", "pipelines = nothing"),
        ("run: {params: seed=-1}", "seed = -1: must be"),
        ("run: {params: {seed: -1}}", "seed = -1: must be"),
        ("pipeline: predict", "must hold one section, `run:`"),
        ("run: predict", "must hold one section, `run:`"),
        ("run: {}\nviz: {}", "must hold one section, `run:`"),
        ("[run]", "must hold `name: value` pairs"),
        ("", "must hold one section, `run:`"),
    ],
)
def test_an_odd_file_of_options_is_refused_in_one_line(typed, tmp_path, content, line):
    (tmp_path / "run.yml").write_text(content)
    assert line in typed("--config", tmp_path / "run.yml")


def test_the_help_works_outside_a_project_and_with_experiments_that_do_not(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no conf/base/experiments here" in " ".join(CliRunner().invoke(run, ["--help"]).output.split())
    assert "conf: must hold base/experiments; stand in the project's folder" in typed("--pipelines=predict")
    (tmp_path / "conf/base/experiments").mkdir(parents=True)
    (tmp_path / "conf/base/experiments/mine.yml").write_text("seed: 3\nseed: 4\n")
    result = CliRunner().invoke(run, ["--help"])
    assert (result.exit_code, "seed stands twice" in " ".join(result.output.split())) == (0, True)


def test_an_environment_that_a_variable_names_wrongly_is_refused(typed, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "nowhere")
    assert "env = nowhere: its folder must exist" in typed("--pipelines=predict")


def test_half_a_key_is_no_key(load):
    for key in ("operator.", ".seed", "operator..training.epochs", "training.epochs", "operator.network.depths.0", "."):
        with pytest.raises(InputError):
            load(**nest({key: 3}))
