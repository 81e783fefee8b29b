"""What is there and fits is not made again; what is stale, damaged or asked for is."""

import json
import logging

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro_viz.integrations.kedro.run_hooks import PipelineRunStatusHook

from universal_simulator.shell.runner import SequentialRunner
from universal_simulator.support.errors import InputError

RECORD = "universal_simulator.catalog.records.JSONDataset"


class Work:
    """Four steps that count how often they run: a number, its double in memory, its sign, and a check."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.announced: list[tuple] = []
        self.pipeline = Pipeline(
            [
                node(self.number, "params:number", "number", name="number"),
                node(self.double, "number", "double", name="double"),
                node(self.sign, "double", "sign", name="sign"),
                node(self.report, "sign", "report", name="report"),
                node(self.check, "report", None, name="check"),
            ]
        )

    def number(self, number):
        self.done.append("number")
        return number

    def double(self, number):
        self.done.append("double")
        return 2 * number

    def sign(self, double):
        self.done.append("sign")
        return (double > 0) - (double < 0)

    def report(self, sign):
        self.done.append("report")
        return f"sign {sign}"

    def check(self, report):
        self.done.append("check")

    def path(self, name):
        return self.folder / f"{name}.json"

    def run(self, number=3, force=False, pipeline=None):
        """Run as a new process would; return what was done."""
        entries = {name: {"type": RECORD, "filepath": str(self.path(name))} for name in ("number", "sign", "report")}
        entries["report"]["metadata"] = {"mlflow": "results"}
        catalog = DataCatalog.from_config(entries)
        catalog["params:number"], catalog["params:force"] = number, force
        hooks = _create_hook_manager()
        hooks.register(self)
        self.done, self.announced = [], []
        SequentialRunner().run(pipeline or self.pipeline, catalog, hooks)
        return self.done

    from kedro.framework.hooks import hook_impl

    @hook_impl
    def after_dataset_saved(self, dataset_name, data):
        self.announced.append((dataset_name, data))


@pytest.fixture
def work(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    found = Work(tmp_path)
    assert found.run() == ["number", "double", "sign", "report", "check"]
    return found


def test_a_second_run_makes_nothing_again_and_says_so(work, caplog):
    assert work.run() == ["check"]
    assert "There already, of the same parameters, inputs and code: number, sign, report" in caplog.text
    assert "Finished before, and nothing it depends on has changed; force=true makes everything again" in caplog.text


def test_where_a_node_is_drawn_makes_nothing_stale(work):
    drawn = Pipeline(work.pipeline, namespace="stage", prefix_datasets_with_namespace=False)
    assert work.run(pipeline=drawn) == ["check"]


def test_the_record_hears_of_what_was_not_made_again(work):
    work.run()
    assert work.announced == [("report", "sign 1")]


def test_a_change_is_followed_as_far_as_it_makes_a_difference(work):
    assert work.run(number=4) == ["number", "double", "sign", "check"], "the sign is the same, so is the report"
    assert work.run(number=-4) == ["number", "double", "sign", "report", "check"]


def test_what_passes_in_memory_is_made_only_where_somebody_needs_it(work):
    work.path("sign").unlink()
    assert work.run() == ["double", "sign", "check"]


@pytest.mark.parametrize("content", ["-1", "", "1 "])
def test_a_damaged_artefact_is_named_and_made_again(work, content, caplog):
    work.path("sign").write_text(content)
    assert work.run() == ["double", "sign", "check"]
    assert f"sign = {work.path('sign')} is damaged, changed or gone since it was made" in caplog.text
    assert json.loads(work.path("sign").read_text()) == 1


def test_an_artefact_without_its_stamp_is_made_again(work):
    (work.folder / ".number.json.made").unlink()
    assert work.run() == ["number", "check"]


def test_kedro_viz_keeps_the_status_of_runs_and_warns_of_nothing(work, tmp_path, monkeypatch, caplog):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.kedro]\npackage_name='mine'\nproject_name='m'\nkedro_init_version='1'"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    status = PipelineRunStatusHook()
    status.before_pipeline_run({"pipeline_names": ["full"], "runner": str(SequentialRunner())}, work.pipeline)
    for one in work.pipeline.nodes:
        status.before_node_run(one)
        status.after_node_run(one)
    status.after_pipeline_run()
    told = json.loads((tmp_path / ".viz/kedro_pipeline_events.json").read_text())
    assert [event["node"] for event in told if event["event"] == "after_node_run"] == [
        "number", "double", "sign", "report", "check"
    ]  # fmt: skip
    assert "Workflow tracking is disabled" not in caplog.text


def test_force_makes_everything_again(work):
    assert work.run(force=True) == ["number", "double", "sign", "report", "check"]
    assert work.run() == ["check"]


def test_other_code_makes_its_artefacts_stale(work, monkeypatch):
    monkeypatch.setattr("universal_simulator.shell.runner.code_behind", lambda module, *values: "other")
    assert work.run() == ["number", "double", "sign", "report", "check"]


def test_what_another_pipeline_made_and_somebody_changed_is_refused(work):
    last = work.pipeline.only_nodes("report", "check")
    assert work.run(pipeline=last) == ["check"]
    work.path("sign").write_text("7")
    with pytest.raises(InputError, match=r"sign = .*sign\.json must be as it was made, but is damaged or changed"):
        work.run(pipeline=last)


def test_an_interrupted_node_is_not_taken_for_done(work, monkeypatch):
    def fail(sign):
        raise KeyboardInterrupt

    broken = Pipeline(
        [*work.pipeline.only_nodes("number", "double", "sign").nodes, node(fail, "sign", "report", name="report")]
    )
    with pytest.raises(KeyboardInterrupt):
        work.run(number=-3, pipeline=broken)
    assert work.run(number=-3) == ["report", "check"]
