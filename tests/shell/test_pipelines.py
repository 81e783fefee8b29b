"""The registered pipelines fit the catalog, and Kedro-Viz can order their layers."""

from graphlib import TopologicalSorter

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession

from universal_simulator.hooks.timing import stage_of
from universal_simulator.pipeline_registry import PIPELINES, STAGES

IN_MEMORY = {"emulator", "uncalibrated_emulator", "raw_origins"}
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


def test_layers_lie_in_one_order(registered, entries):
    layers = {name: entry["metadata"]["kedro-viz"]["layer"] for name, entry in entries.items() if entry}
    graph = {name: set() for name in layers.values()}
    for node in registered["full"].nodes:
        for output in set(node.outputs) & layers.keys():
            graph[layers[output]] |= {layers[name] for name in set(node.inputs) & layers.keys()} - {layers[output]}
    assert next(TopologicalSorter(graph).static_order()) == "raw"
