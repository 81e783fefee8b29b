"""Whatever is asked for is answered with finite numbers of the right shape, or refused in one line: seeded, seconds."""

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_params_schema
from mlflow.pyfunc.scoring_server import _parse_json_data

from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.pyfunc import RefusedError, Served, signature
from universal_simulator.support.errors import InputError

ROLLOUTS, BODIES = 1000, 800
WAVE = np.sin(2 * np.pi * (np.arange(16) + 0.5) / 16)
FIELDS = [
    WAVE, WAVE[::-1], WAVE.astype(">f4"), WAVE.astype(np.int64), WAVE > 0, WAVE.astype(np.float16), WAVE[None], WAVE[None, ::2],
    np.stack([WAVE] * 3)[::-1], torch.tensor(WAVE), torch.tensor(WAVE).bool(), torch.tensor(WAVE, requires_grad=True),
    WAVE.tolist(), [WAVE, WAVE], np.stack([WAVE] * 2)[:, None], pd.Series(WAVE), pd.DataFrame([WAVE, WAVE]), WAVE.astype(object),
]  # fmt: skip
NO_FIELDS = [
    WAVE + 1j, WAVE[:7], WAVE[:0], np.zeros((0, 16)), np.zeros((2, 2, 16)), WAVE * np.nan, WAVE * np.inf, WAVE * 1e39,
    np.ma.masked_array(WAVE, WAVE > 0), WAVE.astype(str), np.array(["a"] * 16, object), None, 3.0, True, "u0.npy", {}, [],
    [[]], [WAVE, WAVE[:9]], {"v": WAVE}, {"u": WAVE, "v": WAVE}, object(), torch.empty(16, device="meta"), torch.zeros(16).to_sparse(), b"0" * 16,
    np.array("2020", "datetime64"), iter(WAVE), [None] * 16, float("nan"), range, pd.Series(["x"] * 16), [WAVE, None],
]  # fmt: skip
NUMBERS = [0.05, [0.05], np.float16(0.05), np.array([0.05]), torch.tensor(0.05), 1, "one for each"]
NO_NUMBERS = [
    0, -1, -0.0, 1e-50, np.nan, np.inf, True, None, "0.05", [0.05] * 7, [], [[0.05]], 1j, {}, {"nu": 0.05}, object(), 10**400,
    np.ma.masked, [0.05, -1], np.timedelta64(1, "s"),
]  # fmt: skip
TIMES = [0.02, [0.02], (0.04, 0.02), np.array([0.02]), torch.tensor([0.04]), np.float64(0.02), [0.02, 0.02]]
NO_TIMES = [
    0, -0.02, 0.013, 1e9, 1e300, 1e-300, np.nan, np.inf, True, None, "0.02", "soon", [], [[0.02]], [0.02, None], {}, 1j, object(),
    [True], range(0), 2**70, [0.02, 1e18],
]  # fmt: skip
MEMBERS, NO_MEMBERS = (
    [None, None, None, 2, np.int64(3)],
    [1, 0, -3, 2.5, "3", True, 10**4 + 1, 10**9, [2], np.nan, {}, 2**80],
)
GUIDED, NO_GUIDED = [False, False, False, True, np.bool_(False)], ["false", 0, 1, None, [], np.array([True]), 0.5]
SEEDS, NO_SEEDS = [0, 7, np.int32(3), 2**62], [-1, 2**64, 1.5, "17", None, True, [1], np.nan]


@pytest.fixture
def choice():
    return random.Random(17)


def asked(choice):
    """Return one request, of what may be and of one thing or two that may not, and whether all of it may."""
    kinds = {
        "u0": (FIELDS, NO_FIELDS), "viscosity": (NUMBERS, NO_NUMBERS), "times": (TIMES, NO_TIMES),
        "members": (MEMBERS, NO_MEMBERS), "guided": (GUIDED, NO_GUIDED), "seed": (SEEDS, NO_SEEDS),
    }  # fmt: skip
    bad = choice.sample(list(kinds), choice.choice([0, 1, 1, 1, 2]))
    found = {name: choice.choice(pair[name in bad]) for name, pair in kinds.items()}
    if isinstance(found["viscosity"], str) and found["viscosity"] == "one for each":
        found["viscosity"] = (
            [0.05] * (1 if np.ndim(found["u0"]) == 1 else np.shape(found["u0"])[0]) if not bad else 0.05
        )
    plainly = found["members"] is None and not found["guided"]
    return found, not bad and (plainly or not getattr(found["u0"], "requires_grad", False))


def shape_of(request):
    alone = np.ndim(request["u0"]) == 1
    lead = () if alone else (len(request["u0"]),)
    members = () if request["members"] is None else (int(request["members"]),)
    return (*lead, *members, np.asarray(request["times"]).size, *np.shape(request["u0"])[0 if alone else 1 :])


def plain(u0):
    """Return the numbers of one of FIELDS by the shortest way."""
    fields = [u0] if np.ndim(u0) == 1 else u0.to_numpy() if isinstance(u0, pd.DataFrame) else u0
    return np.array(
        [[float(value) for value in (field[0] if np.ndim(field) > 1 else field)] for field in fields], np.float32
    )


def outcome(emulator, request):
    """Return what is answered, or the line that refuses it; anything else is a bug."""
    try:
        return emulator.rollout(**request)
    except InputError as line:
        return str(line)


@pytest.fixture
def frozen(emulator, monkeypatch):
    """Let a forecast stand still: what is tried here is what goes in, and comes out, and takes no time."""

    def still(self, request):
        shape = (len(request.u), request.members or 1, len(request.steps), *request.u.shape[1:])
        return request.u[:, None, None].expand(shape).clone()

    monkeypatch.setattr(Emulator, "answer", still)
    return emulator


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore")
def test_rollout_answers_or_refuses(frozen, choice):
    answered = 0
    for _ in range(ROLLOUTS):
        request, right = asked(choice)
        found = outcome(frozen, request)
        assert isinstance(found, str) != right, (request, found)
        if isinstance(found, str):
            assert "\n" not in found
            continue
        answered += 1
        assert tuple(found.shape) == shape_of(request)
        assert found.dtype in (np.float32, torch.float32, torch.float64)
        if getattr(found, "requires_grad", False):  # which the network itself has made
            continue
        last = np.asarray(found if np.ndim(request["u0"]) > 1 else found[None])
        last = last.reshape(len(last), -1, last.shape[-1])
        np.testing.assert_array_equal(last[:, 0], plain(request["u0"]))
    assert ROLLOUTS / 8 < answered < ROLLOUTS / 2


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore")
def test_networks_take_whatever_is_let_through(emulator):
    for u0 in FIELDS:
        found = emulator.rollout(u0, 0.05, 0.02)
        assert np.isfinite(np.asarray(found.detach() if torch.is_tensor(found) else found)).all()


WORDS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    0.02,
    0.5,
    1e9,
    1e300,
    "0.1",
    "",
    [],
    [[]],
    {},
    [None],
    [0.05],
    [0.05] * 2,
    2**70,
    3.5,
]


def payload(choice):
    """Return a body as a client might send it, and its row: of the right words, mostly."""
    row = {"u0": choice.choice([WAVE.tolist()] * 40 + WORDS), "viscosity": choice.choice([0.05, [0.05]] * 20 + WORDS)}
    row |= {choice.choice(["nu", "u", "", "times"]): choice.choice(WORDS)} if choice.random() < 0.1 else {}
    row = {name: value for name, value in row.items() if choice.random() < 0.98}
    good = {"times": [0.02], "members": 2, "guided": False, "seed": 1, "member": 3, "horizon": 1.0}
    names = choice.sample([*list(good)[:4] * 2, "member", "horizon"], 2)
    params = {name: good[name] if choice.random() < 0.7 else choice.choice(WORDS) for name in names}
    forms = [
        {"inputs": row}, {"instances": [row]}, {"dataframe_records": [row]},
        {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
    ]  # fmt: skip
    form = choice.choice(forms) if choice.random() < 0.9 else {"inputs": choice.choice(WORDS)}
    return form | {"params": params}, row


def served(face, schema, body):
    """Take the steps of MLflow's server on a request's body, without the wire between."""
    try:
        parsed = _parse_json_data(json.dumps(body), None, None)
        return face.predict(parsed.data, _enforce_params_schema(parsed.params, schema) | (parsed.params or {}))
    except MlflowException as refused:
        return refused


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore")
def test_the_server_answers_or_refuses(frozen, choice):
    face, schema, answered = Served(frozen), signature(frozen.card).params, 0
    for _ in range(BODIES):
        body, row = payload(choice)
        found = served(face, schema, body)
        if isinstance(found, MlflowException):
            assert found.get_http_status_code() == 400
            assert "stack_trace" not in json.loads(found.serialize_as_json())
            assert not isinstance(found, RefusedError) or "\n" not in found.message
            continue
        answered += 1
        assert row.keys() == {"u0", "viscosity"}, body
        assert not body["params"].keys() & {"member", "horizon"}, body
        np.testing.assert_array_equal(found["u"][0, 0, 0], np.ravel(row["u0"]).astype(np.float32))
        json.dumps({"u": found["u"].tolist(), "warnings": found["warnings"]}, allow_nan=False)
    assert BODIES / 20 < answered < BODIES / 2
