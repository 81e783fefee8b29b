"""The registered pipelines fit the catalog, and Kedro-Viz can order their layers."""

import pickle
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline

from universal_simulator.cli import _complete
from universal_simulator.pipeline_registry import PIPELINES, STAGES, plain_name, register_pipelines
from universal_simulator.shell.hooks.timing import stage_of

IN_MEMORY = {"raw_solved", "raw_origins"}
"""What passes from node to node without being kept."""


@pytest.fixture(scope="module")
def registered():
    configure_project("universal_simulator")
    return dict(pipelines)


@pytest.fixture
def entries(registered, data):
    """Return the catalog entry of every dataset of the whole chain."""
    with KedroSession.create() as session:
        catalog = session.load_context().catalog
    names = {name for name in registered["full"].datasets() if not name.startswith("param")}
    return {name: catalog.config_resolver.resolve_pattern(name) if name in catalog else {} for name in names}


def test_every_promised_pipeline_has_work_to_do(registered):
    assert registered.keys() == PIPELINES.keys()
    assert all(pipeline.nodes for pipeline in registered.values())


def test_every_node_belongs_to_the_stage_whose_time_it_takes(registered):
    assert {stage_of(node) for node in registered["full"].nodes} == set(STAGES)


def test_every_artefact_is_kept_by_the_catalog(entries):
    assert {name for name, entry in entries.items() if "type" not in entry} == IN_MEMORY


@pytest.mark.parametrize("folded", [False, True], ids=["node by node", "stage by stage"])
def test_layers_lie_in_one_order(registered, entries, folded):
    layers = {name: entry["metadata"]["kedro-viz"]["layer"] for name, entry in entries.items() if entry}
    whole = registered["full"]
    parts = (
        [whole.only_nodes_with_namespaces([stage]) for stage in STAGES] if folded else map(Pipeline, zip(whole.nodes))
    )
    graph = {name: set() for name in layers.values()}
    for part in parts:
        used = (whole - part).inputs() & part.all_outputs() | part.outputs()
        for output in used & layers.keys():
            graph[layers[output]] |= {layers[name] for name in part.inputs() & layers.keys()} - {layers[output]}
    order = list(TopologicalSorter(graph).static_order())  # raises where they go round in a circle
    expected = ["raw", "primary", "encoder", "model_input", "models", "reporting"]
    assert sorted(expected, key=order.index) == expected


def test_a_stage_is_a_namespace_that_leaves_the_names_of_datasets_alone(registered):
    assert {node.namespace for node in registered["full"].nodes} == set(STAGES)
    assert not [name for name in registered["full"].datasets() if "." in name and not name.startswith("params:")]


@pytest.mark.parametrize("given", ["train_operator", "operator.train_operator"])
def test_a_node_is_named_with_or_without_its_stage(registered, given):
    (full,) = _complete([given], registered["full"].nodes)
    assert full == "operator.train_operator"
    registered["full"].from_nodes(full)


@pytest.mark.parametrize("given", ["describe", "data_card"])
def test_a_node_is_named_by_how_it_alone_begins_or_by_what_it_makes(registered, given):
    assert _complete([given], registered["data_engineering"].nodes) == ["data_engineering.describe_data"]


VERBS = {
    "acquire", "assemble", "assimilate", "audit", "bundle", "calibrate", "check", "compare", "describe", "draw", "enforce",
    "enter", "evaluate", "forecast", "infer", "measure", "pair", "plan", "precompute", "prepare", "promote", "propagate",
    "score", "search", "select", "solve", "split",
    "tabulate", "train", "validate", "write",
}  # fmt: skip
"""What people in the field say that they do with data, models and results."""


def test_every_node_is_named_by_a_verb_of_the_field_and_what_it_is_done_to(registered):
    names = {plain_name(node) for pipeline in registered.values() for node in pipeline.nodes}
    assert not [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)]
    assert {name.partition("_")[0] for name in names} <= VERBS


def test_names_of_pipelines_are_known_before_their_nodes_are_imported():
    code = (
        "import sys, universal_simulator.pipeline_registry as r; print(*r.register_pipelines(), 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == [*PIPELINES, "False"]


def test_a_pipeline_is_built_once_it_is_looked_into_and_shows_real_functions(registered):
    pipeline = pickle.loads(pickle.dumps(registered["promote"]))
    (node,) = pipeline.only_nodes("promote.promote_candidate").nodes
    assert node.func.__doc__.startswith("Move the alias if every condition holds")
    both = registered["full"] + registered["promote"]
    assert both.nodes == Pipeline([*registered["full"].nodes, *pipeline.nodes]).nodes
    with pytest.raises(AttributeError, match="LazyPipeline has no __wrapped__"):
        _ = register_pipelines()["full"].__wrapped__


def test_a_name_that_several_nodes_have_is_left_as_it_is(registered):
    assert _complete(["assemble"], registered["full"].nodes) == ["assemble"]
