"""Hundreds of malformed configurations: each is refused in one line with name, value, rule and remedy."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from universal_simulator.configuration import Parameters
from universal_simulator.configuration.tree import nest
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.shell.hooks.preparation import refuse_misfit
from universal_simulator.support.errors import InputError, parameter_paths

NEVER = [[[]], {"unknown_key": 1}, "∅ no number, no name", float("nan"), float("inf"), -(10**30), 10**30]
"""What no parameter takes; those that take any text are named below."""

TEXTS = {
    "experiment.purpose", "weights", "predict.input", "predict.model", "predict.output", "score.forecast", "score.truth",
    "score.training", "propagate.initial", "propagate.model", "audit.input", "initial",
}  # fmt: skip
TEXTS |= {f"{task}.{name}" for task in ("assimilate", "infer") for name in ("model", "observations", "prior")}
TEXTS |= {"assimilate.truth", "infer.initial"}


@pytest.fixture(scope="module")
def complete():
    source = Path(__file__).parents[2] / "conf"
    return ExperimentLoader(source, "base", {}, base_env="base", default_run_env="local")


@pytest.fixture(scope="module")
def refusal(complete):
    """Return the line that refuses some overrides of `golden`, or None where they are taken."""

    def ask(overrides: dict[str, Any]) -> str | None:
        try:
            refuse_misfit(Parameters.model_validate(complete._merged(["golden"], nest(overrides))))
        except InputError as error:
            return str(error)
        return None

    return ask


def leaves(tree: dict, prefix: str = ""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def is_one_line(line: str, path: str) -> bool:
    """Tell whether a line has name, value, rule and remedy."""
    name = "sweep.space" if path.startswith("sweep.space") else re.escape(path)  # whose own names have dots
    complete = rf"{name}\S* = .+: (must .+; .+|no such parameter; .+)"
    return len(line) < 400 and "\n" not in line and re.fullmatch(complete, line) is not None


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_no_parameter_takes_what_is_of_another_type_or_beyond_all_ranges(complete, refusal, every):
    """Each is given all of them in the long test, and here a third, others than its neighbours."""
    wrongs = [
        (path, wrong)
        for path, value in leaves(complete.complete("golden"))
        if path not in TEXTS and not path.startswith("gates")
        for wrong in (*NEVER[:3], *(NEVER[3:7] if not isinstance(value, str) else [5]))
    ]
    assert len(wrongs) > 500
    for path, wrong in wrongs[::every]:
        line = refusal({path: wrong})
        assert line is not None, f"{path} = {wrong} was taken"
        assert is_one_line(line, path), line


NAMES = (
    "data.source", "gates", "ablation.changes.", "baselines.solvers.", "evaluation.chaos.solvers.",
    "propagate.parameters.", "data.members", "operator.solver.",
)  # fmt: skip
"""Beginnings of paths whose last part is a name of the user's, a field of one of several kinds, or of a section that is
null, of which what is missing is told first."""


def test_no_misspelt_name_is_taken(refusal):
    for path in sorted(parameter_paths(Parameters)):
        if path.startswith(NAMES):
            continue
        line = refusal({f"{path}x": 1})
        assert line is not None
        assert is_one_line(line, f"{path}x"), line


PATTERNS = {"problem": "diffusion_reaction", "data.source.kind": "published"}
GATE = {"name": "one", "experiments": ["golden"], "bound": 1.0}
PAIRS = [
    ({"operator.network.heads": 3}, "heads = 3 must divide hidden_width = 64"),
    ({"operator.network.heads": 64}, "must leave each head 2 of hidden_width = 64 channels"),
    ({"operator.network.group_size": 7}, "group_size = 7 must divide hidden_width"),
    ({"diffusion_residual.network.heads": 5}, "heads = 5 must divide"),
    ({"latent.tokens": 15}, "latent.tokens = 15 must be even, as networks pair tokens; take 16"),
    ({"latent.dim": 8}, "operator.network.points_per_token = 12 must not exceed latent.dim = 8; lower it"),
    ({"operator.network.points_per_token": 9}, "points_per_token = 9 must be even"),
    ({"latent.tokens": 64}, "latent.tokens × latent.dim = 2048 must not exceed the 1024 points"),
    ({"latent.tokens": 1, "latent.dim": 4}, "kernel = 5 must not exceed latent.tokens × latent.dim = 4"),
    ({"latent.tokens": 2, "latent.dim": 4}, "ttc.guidance.modes = 8 must not exceed the 4 waves"),
    ({"autoencoder.network.kernel": 4}, "kernel = 4 must be odd"),
    ({"operator.unroll": 41}, "operator.unroll × operator.time_strides = 205 must be below the 201 snapshots"),
    ({"operator.time_strides": [2, 201]}, "= 201 must be below the 201 snapshots"),
    ({"data.time_stride": 201}, "time_stride = 201 must be below the 201 snapshots"),
    ({"data.train": 1}, "train = 1 must be at least 2"),
    ({"data.train": 9601, "data.source.kind": "published"}, "= 10001 for each set of parameters must not exceed the 10000 samples"),
    ({"data.source.samples": 2399}, "= 2400 for each set of parameters must not exceed the 2399 samples of source.kind = solve"),
    ({"data.viscosities": [0.01, 0.01]}, "parameters.nu = [0.01, 0.01] must differ; drop"),
    ({"data.viscosities": [-1]}, "parameters.nu = -1: must be positive and finite; correct it"),
    ({"data.parameters": {"mu": [1.0]}}, "parameters = mu: must be one of nu for burgers; drop it"),
    ({"problem": "diffusion_reaction", "data.viscosities": [1.0]}, "data.viscosities = [1.0] must be left out for diffusion_reaction"),
    ({"problem": "data_only"}, "data.source.kind = solve: data_only has no solver"),
    ({"problem": "data_only", "evaluation.variants": ["fast"]}, "evaluation.variants = fast: data_only has no solver"),
    ({"problem": "burger"}, "problem = burger: must be one of "),
    ({"problem": "no.such.module"}, "problem = no.such.module: "),
    ({"data.source.family": "waves"}, "data.source.family = waves: must be null, it has one family only for burgers"),
    ({"problem": "semilinear", "data.members": [{"name": "b", "family": "wave", "parameters": {"speed": [1.0]}}]}, "data.members b: family = wave: must be sines, waves, ten_waves"),
    ({"problem": "semilinear", "data.members": [{"name": "b", "parameters": {"nu": [1.0]}}]}, "parameters = nu: must be one of growth, speed"),
    ({"data.viscosities": [0.01, 0.1, 1.0]}, "train = 2000 must be a multiple of the 3 sets of parameters; take 2001"),
    ({"data.viscosities": []}, "data.parameters.nu = []: "),
    ({"data.parameters": {"nu": {"low": 2.0, "high": 1.0}}}, "low = 2 must be below high = 1; swap or change them"),
    ({"data.parameters": {"nu": {"low": 1.0}}}, "high = missing: must have a value"),
    ({"data.parameters": {"nu": {"low": 1.0, "high": 2.0}}, "data.source.kind": "published"}, "parameters.nu = a range must be values for source.kind = published"),
    ({"problem": "compressible", "operator.exponential": True, "operator.flux_form": False}, "operator.exponential = true: compressible states no linear part, must be one of advection, burgers"),
    ({"problem": "navier_stokes", "latent.tokens": 4, "latent.dim": 16, "autoencoder.network.kernel": 5, "baselines.solvers": [{"points": 16, "courant": 1.0, "vanishing": 0.2}]}, "vanishing = 0.2: must be 0 for navier_stokes"),
    ({"baselines.solvers": [{"points": 64, "courant": 1.0, "dealiasing": "hou_li"}]}, "dealiasing = hou_li: must be two_thirds for burgers"),
    ({"operator.solver": {"points": 64, "courant": 1.0, "dealiasing": "hou_li"}}, "dealiasing = hou_li: must be two_thirds for burgers"),
    ({"operator.solver": {"points": 64, "courant": 1.0}, "operator.exponential": True}, "exponential = true: must be false beside solver = solver_64_c1"),
    ({"problem": "data_only", "operator.solver": {"points": 64, "courant": 1.0}}, "operator.solver = solver_64_c1: data_only must have a solver; set it to null"),
    ({"data.folder": "../elsewhere"}, "data.folder = ../elsewhere: "),
    ({"data.folder": "/etc"}, "data.folder = /etc: "),
    ({"experiment.name": "../../etc/passwd"}, "experiment.name = ../../etc/passwd: "),
    ({"experiment.name": ""}, "experiment.name = : "),
    ({"data.source": {"kind": "published", "address": "file:///etc/{id}"}}, "address = file:///etc/{id}: "),
    ({"data.source": {"kind": "published", "address": "https://host/file"}}, "address = https://host/file: "),
    ({"data.source": {"kind": "bucket", "uri": "/local"}}, "uri = /local: "),
    ({"data.source": {"kind": "bucket", "uri": "s3://key:SECRET@bucket"}}, "uri = s3://***@bucket must hold no credentials"),
    ({"weights": "https://me:SECRET@host/folder"}, "weights = https://***@host/folder must hold no credentials"),
    ({"seed": "https://me:SECRET@host"}, "https://***@host"),
    ({"data.source": {"kind": "bucket"}}, "data.source.uri = missing: must have a value"),
    ({"autoencoder.training.final_learning_rate": 1.0}, "must not exceed learning_rate = 0.001"),
    ({"autoencoder.training.batch_size": 5000}, "batch_size = 5000 must not exceed windows_per_epoch = 4096"),
    ({"autoencoder.training.epochs": -1}, "autoencoder.training.epochs = -1: must be greater than or equal to 1"),
    ({"autoencoder.training.save_every_s": 0}, "save_every_s = 0: must be greater than 0"),
    ({"autoencoder.training.betas": [0.9, 1.0]}, "betas[1] = 1.0: must be less than 1"),
    ({"diffusion_residual.tau_distribution.alpha": 0}, "alpha = 0: must be greater than 0"),
    ({"diffusion_residual.tau_distribution.beta": 0}, "beta = 0: must be greater than 0"),
    ({"diffusion_residual.sigma_min": 30}, "sigma_min = 30.0 must be below sigma_max = 20.0"),
    ({"diffusion_residual.holdout": 1.0}, "holdout = 1.0: must be less than 1"),
    ({"consistency_distillation.schedule": [1]}, "schedule[0] = 1: must be greater than or equal to 2"),
    ({"ttc.beam": 9}, "beam = 9 must not exceed candidates = 8"),
    ({"ttc.guidance.modes": 257}, "ttc.guidance.modes = 257 must not exceed the 256 waves"),
    ({"evaluation.ensemble.members": 1}, "members = 1: must be greater than or equal to 2"),
    ({"evaluation.protocols": []}, "evaluation.protocols = []: "),
    ({"evaluation.protocols": ["rollout", "rollout"]}, "protocols = rollout,rollout must differ"),
    ({"evaluation.variants": ["ttc", "ttc"]}, "variants = ttc,ttc must differ"),
    ({"evaluation.variants": ["oracle"]}, "variants[0] = oracle: "),
    (PATTERNS, "= 2400 for each file must not exceed the 1000 samples of 2D_diff-react_NA_NA.h5"),
    (PATTERNS | {"data.train": 500}, "latent.tokens × latent.dim = 512 must not exceed the 128 points"),
    ({"data.source.kind": "published", "problem": "heat"}, "problem = heat: not published, must be one of advection, burgers"),
    ({"data.source.kind": "published", "data.source.files": ["x.h5"]}, "data.source.files = x.h5: must be published for burgers"),
    ({"resume": "perhaps"}, "resume = perhaps: "),
    ({"force": 2}, "force = 2: "),
    ({"compute.processes": 3}, "compute.processes × compute.nodes = 3 must divide autoencoder.training.batch_size = 32"),
    ({"compute.nodes": 2}, "compute.rendezvous = null must be host:port of this machine for 2 nodes"),
    ({"compute.rendezvous": "nowhere"}, "compute.rendezvous = nowhere: "),
    ({"compute.rendezvous": "here:99999"}, "rendezvous = here:99999 must end with a port, 1 to 65535; correct it"),
    ({"compute.precision": "float16"}, "compute.precision = float16: "),
    ({"baselines.unet.network.levels": 16}, "levels = 16 must leave whole points, and 32768 of points = 256 make one"),
    ({"baselines.points": 250}, "levels = 4 must leave whole points, and 8 of points = 250 make one on the coarsest"),
    ({"baselines.unet.network.kernel": 67}, "kernel = 67 must reach no further than once round the 32 points"),
    ({"baselines.fno.network.modes": 130}, "fno.network.modes = 130 must not exceed the 129 waves of points = 256"),
    ({"gates.entries": [GATE | {"metric": "nrmse"}]}, "metric = nrmse: must be protocol/variant/metric; "),
    ({"seed": 2**31}, "seed = 2147483648: must be less than 2147483648"),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "line"), PAIRS)
def test_what_does_not_fit_together_is_refused(refusal, overrides, line):
    told = refusal(overrides)
    assert told is not None
    assert line in told
    assert "SECRET" not in told
    assert re.fullmatch(r"\S.* = .*\bmust .+; .+", told), told


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(path=st.sampled_from(sorted(parameter_paths(Parameters))), value=JUNK)
def test_junk_is_taken_or_refused_in_one_line_and_never_a_traceback(refusal, path, value):
    line = refusal({path: value})
    assert line is None or (re.search(r"\S", line) and len(line.splitlines()) == 1)


def test_the_defaults_are_taken(refusal):
    assert refusal({}) is None
