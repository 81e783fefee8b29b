"""The benchmark of training counts what a step computes."""

import torch
from benchmarks.training import operator_stage, parameters_of, stepping
from torch.utils.flop_counter import FlopCounterMode


def flops(parameters) -> int:
    with FlopCounterMode(display=False) as counter:
        stepping(parameters)()
    return counter.get_total_flops()


def test_a_step_costs_twice_as_much_with_twice_the_batch():
    parameters = parameters_of("golden")
    training = parameters.operator.training
    double = training.model_copy(update={"batch_size": 2 * training.batch_size})
    twice = parameters.model_copy(update={"operator": parameters.operator.model_copy(update={"training": double})})
    assert flops(twice) == 2 * flops(parameters)


def test_backward_costs_about_twice_what_forward_does():
    parameters = parameters_of("golden")
    stage = operator_stage(parameters)
    batch = stage.draw(torch.Generator())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stage.objective(stage.network, batch, 0.5, torch.Generator())
    assert 2.5 * counter.get_total_flops() < flops(parameters) < 3.01 * counter.get_total_flops()
