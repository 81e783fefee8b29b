"""Steps that a GPU takes as one graph: nothing within them comes from the CPU, and they are the steps taken plainly."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import universal_simulator.training.loop as loop
from together import KINDS, SETTINGS, normal, stage_of, trained
from universal_simulator.compute.device import Share, stream
from universal_simulator.configuration import (
    CoarseSolver,
    ConvolutionalAutoencoder,
    Latent,
    UShapedDecoder,
    UTransformer,
)
from universal_simulator.fields.latents import Window
from universal_simulator.networks.trained import Recipe
from universal_simulator.problems import find, linear_part
from universal_simulator.training.graphs import WARM, StepGraph, Tape, graph_for
from universal_simulator.training.objectives import Snapshots, correction_error, reconstruction, step_error
from universal_simulator.training.optimizers import optimizer_for, set_rate

ELSEWHERE = torch.device("meta")
"""Stands for a GPU: tensors without numbers, that no tensor of the CPU may meet."""
SMALL = UTransformer(hidden_width=16, point_width=8, heads=2, group_size=4, points_per_token=4, depths=(1, 1, 1))


class Again(StepGraph):
    """Stands for a graph on a CPU: a step is recorded by taking it and going back, and replayed by taking it again."""

    def __init__(self, network: nn.Module, optimizers: list[Any]) -> None:
        super().__init__(torch.device("cpu"))
        self.network, self.optimizers, self.replays = network, optimizers, 0

    def recorded(self, work):
        weights, memory = deepcopy(self.network.state_dict()), deepcopy(self.optimizers[-1].state_dict())
        work()
        self.network.load_state_dict(weights)
        self.optimizers[-1].load_state_dict(memory)

        def again() -> None:
            places = iter([place for _, place in self.tape.places])
            self.tape.place = lambda make, like: next(places)
            self.found = work()
            self.replays += 1

        return again


@pytest.fixture
def graphs(monkeypatch):
    """Take the steps of all trainings as from graphs; return these."""
    optimizers, made, plain = [], [], loop.optimizer_for

    def optimizer_for(*given):
        optimizers.append(plain(*given))
        return optimizers[-1]

    def graph(network, _share):
        made.append(Again(network, optimizers))
        return made[-1]

    monkeypatch.setattr(loop, "optimizer_for", optimizer_for)
    monkeypatch.setattr(loop, "graph_for", graph)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_are_the_steps_taken_plainly(kind, monkeypatch, graphs):
    found = trained(kind, recorded=True)
    (one,) = graphs
    assert one.replays == SETTINGS.epochs * SETTINGS.windows_per_epoch // SETTINGS.batch_size - WARM
    monkeypatch.undo()
    for name, value in trained(kind).items():  # rates of graphs are of single precision
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8)


class Crossings(TorchDispatchMode):
    """Notes the operations between the CPU and elsewhere: where a graph is recorded, CUDA refuses them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        devices = {one.device.type for one in leaves if isinstance(one, torch.Tensor) and (one.ndim or one.is_meta)}
        if len(devices) > 1:
            self.found.append(str(function))
        return result


class Copies(TorchFunctionMode):
    """Notes the tensors that are made of Python's numbers: on a GPU, those come from the CPU, too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, function, _types, args=(), kwargs=None):
        if function in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor):
            self.found.append(str(function))
        return function(*args, **(kwargs or {}))


def crossings(objective, network: nn.Module, batch: Any) -> list[str]:
    """Return what crosses in a step but the first one, of Muon's part as well."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    muon = optimizer_for(network, SETTINGS.model_copy(update={"optimizer": "muon"})).parts["matrices"]
    muon.param_groups[0]["lr"] = torch.empty((), device=ELSEWHERE)
    objective(network, batch, 0.5, Tape())
    with Copies() as copied, Crossings() as noted:
        objective(network, batch, 0.5, Tape()).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        muon.step()
    return noted.found + copied.found


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_within_a_step_of_a_stage_comes_from_the_cpu(kind):
    stage = stage_of(kind, ELSEWHERE)
    assert crossings(stage.objective, stage.network, stage.draw(stream(0))) == []


def one_of(problem: str, **form: Any) -> tuple[nn.Module, Any]:
    """Return a small network of a problem's, elsewhere, and its facts."""
    known = find(problem)
    grid = known.grid.resized((16,) * known.grid.dimensions)
    basis = {
        "latent": Latent(tokens=4, dim=4),
        "facts": known.facts,
        "grid": grid,
        "statistics": normal(known.facts, grid),
    }
    if form.pop("exponential", False):
        form["linear"] = linear_part(known, grid)
    return Recipe(**basis, **{"settings": SMALL, "stage": "operator", **form}).build().to(ELSEWHERE), known.facts


def batch_of(kind: type, facts: Any, *shapes: tuple[int, ...]) -> Any:
    """Return a batch of two, elsewhere."""
    told = torch.empty(2, len(facts.parameters)), torch.empty(2)
    parts = [torch.empty(2, *shape) for shape in shapes]
    order = [*parts, *told] if kind is Window else [*parts, told[0]]
    return kind(*(one.to(ELSEWHERE) for one in order))


@pytest.mark.parametrize(
    ("problem", "form"),
    [
        ("shallow_water", {"flux_form": False}),
        ("shallow_water", {"flux_form": True}),
        ("diffusion_reaction", {"flux_form": False}),
        ("diffusion_reaction", {"exponential": True}),
        ("navier_stokes", {"flux_form": True, "exponential": True}),
        ("korteweg_de_vries", {"flux_form": True, "exponential": True}),
    ],
)
def test_nothing_within_a_step_of_an_operator_comes_from_the_cpu(problem, form):
    network, facts = one_of(problem, **form)
    channels, space = len(facts.channels), tuple(network.low_pass.latent.shape)
    batch = batch_of(Window, facts, (2, channels, *space), (channels,))
    known = facts.conserves() if problem == "shallow_water" else ()
    assert crossings(partial(step_error, spectral=0.05, known=known), network, batch) == []


def test_nothing_within_the_step_of_a_network_that_corrects_a_solver_comes_from_the_cpu():
    network, facts = one_of("kolmogorov_flow", solver=CoarseSolver(points=16, courant=0.9, dealiasing="hou_li"))
    batch = batch_of(Window, facts, (3, 1, 16, 16), (1,))
    assert crossings(partial(correction_error, spectral=0.0), network, batch) == []


@pytest.mark.parametrize("settings", [ConvolutionalAutoencoder(width=16), UShapedDecoder(hidden_width=16, heads=2)])
def test_nothing_within_the_step_of_an_encoder_comes_from_the_cpu(settings):
    network, facts = one_of("shallow_water", settings=settings, stage="autoencoder")
    batch = batch_of(Snapshots, facts, (3, 16, 16), (3,))
    assert crossings(reconstruction, network, batch) == []


def test_on_a_cpu_steps_are_taken_plainly():
    assert graph_for(nn.Linear(2, 2), Share()) is None


def test_where_no_step_can_be_recorded_all_are_taken_plainly_and_it_is_said(monkeypatch, caplog):
    class Refused(StepGraph):
        def recorded(self, work):
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")

    expected = trained("operator")
    monkeypatch.setattr(loop, "graph_for", lambda *_: Refused(torch.device("cpu")))
    for name, value in trained("operator", recorded=True).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-8)
    (said,) = caplog.messages
    assert said.endswith("as one cannot be recorded: CUDA error: operation not permitted when stream is capturing")


def test_an_optimiser_goes_on_with_a_plain_rate_after_one_that_graphs_read():
    network = nn.Linear(32, 32)
    optimizer = optimizer_for(network, SETTINGS.model_copy(update={"optimizer": "muon"}))
    set_rate(optimizer, 0.5, torch.device("cpu"))
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.5, 0.5]
    set_rate(optimizer, 0.25, torch.device("cpu"))
    again = optimizer_for(network, SETTINGS.model_copy(update={"optimizer": "muon"}))
    again.load_state_dict(optimizer.state_dict())
    set_rate(again, 0.125, None)
    assert [group["lr"] for group in again.param_groups] == [0.125, 0.125]
    network(torch.randn(4, 32)).sum().backward()
    again.step()


def test_muon_goes_as_far_by_a_rate_that_graphs_read_as_by_a_number():
    def moved(device):
        torch.manual_seed(0)
        network = nn.Linear(32, 48)
        optimizer = optimizer_for(network, SETTINGS.model_copy(update={"optimizer": "muon"}))
        set_rate(optimizer, 0.25, device)
        network(torch.randn(4, 32)).square().sum().backward()
        optimizer.step()
        return network.weight

    torch.testing.assert_close(moved(torch.device("cpu")), moved(None))
