"""After a dry run it is told what the experiments of its problem would take here."""

from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog, MemoryDataset

from universal_simulator.pipelines import estimate
from universal_simulator.shell.hooks import estimating
from universal_simulator.shell.hooks.estimating import EstimateHooks
from universal_simulator.shell.hooks.timing import TimingHooks

BURGERS = {"golden", "sota_v1", "sota_v2", "champion", "burgers_all", "burgers_thin"}


@pytest.mark.usefixtures("unchecked")  # a stand-in for the context
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("dry_run", BURGERS),
        ("diffusion_reaction,dry_run", {"diffusion_reaction"}),
        ("golden", None),
        ("dry_run,experiment.tags=[]", None),
    ],
)
def test_the_experiments_of_the_same_problem_are_estimated_after_a_rehearsal(data, loader, monkeypatch, asked, told):
    names, _, rest = asked.partition(",experiment.")
    runtime = {"experiment": names.split(",")} | ({"experiment.tags": []} if rest else {})
    monkeypatch.setattr(estimate, "estimate", lambda parameters: {"operator": 7200.0})
    hooks, catalog = EstimateHooks(TimingHooks()), DataCatalog({"estimates": MemoryDataset()})
    hooks.after_context_created(SimpleNamespace(config_loader=loader(runtime)))
    hooks.after_pipeline_run(catalog, {"pipeline_names": ["full"]})
    if told is None:
        assert not catalog["estimates"].exists()
        return
    kept = catalog.load("estimates")
    assert kept.keys() == told
    assert all(one["operator"] == 7200.0 for one in kept.values())
    hooks.after_pipeline_run(DataCatalog({}), {"pipeline_names": ["full"]})


def test_a_fast_mode_beside_the_whole_chain_is_no_part_of_its_estimate():
    timings = TimingHooks()
    timings.expect({"operator": 100.0})
    timings.seconds = {"operator": 110.0, "fast": 40.0}
    assert timings._compared() == "; estimated were 1 min 40 s without the fast mode, so the truth is +10 % off"
    assert estimating._is_whole({"pipeline_names": ["full", "fast"]})
    assert not estimating._is_whole({"pipeline_names": ["fast"]})
