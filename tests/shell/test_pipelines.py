"""The registered pipelines fit the catalog, and Kedro-Viz can order their layers."""

from graphlib import TopologicalSorter

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.pipeline import Pipeline

from universal_simulator.cli import _complete
from universal_simulator.pipeline_registry import PIPELINES, STAGES
from universal_simulator.shell.hooks.timing import stage_of

IN_MEMORY = {"emulator", "uncalibrated_emulator", "raw_solved", "raw_origins"}
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


@pytest.mark.parametrize("given", ["train_operator", "operator.train_operator__5b8c6551", "train_operator__5b8c6551"])
def test_a_node_is_named_with_or_without_its_stage(registered, given):
    (full,) = _complete([given], registered["full"].nodes)
    assert full == "operator.train_operator__5b8c6551"
    registered["full"].from_nodes(full)


def test_a_name_that_several_nodes_have_is_left_as_it_is(registered):
    assert _complete(["assemble"], registered["full"].nodes) == ["assemble"]
