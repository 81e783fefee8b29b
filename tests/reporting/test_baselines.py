"""Who wins where is said as the numbers are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from universal_simulator.evaluation.scores import AVERAGED
from universal_simulator.reporting.baselines import Field, named, pictures, render, sentences, table

COSTS = {"deterministic": (1e6, 900.0, 0.010), "ttc": (1.5e6, 1200.0, 0.8), "unet": (3e5, 880.0, 0.05)}
COSTS |= {"fno": (2.8e5, 890.0, 0.09), "persistence": (0, 0.0, 1e-5), "solver_128_c1": (0, 0.0, 0.002)}
COSTS |= {"solver_256_c1": (0, 0.0, 0.005)}


def field(seconds: dict[str, float] | None = None, **errors: float) -> Field:
    """Everybody with these mean errors, spread alike over 40 trajectories."""
    means = {
        "deterministic": 0.009, "ttc": 0.005, "unet": 0.012, "fno": 0.02, "persistence": 1.5, "solver_128_c1": 0.03,
        "solver_256_c1": 0.001,
    } | errors  # fmt: skip
    spread = np.random.default_rng(0).lognormal(0, 0.1, 40)
    frame = pd.concat(
        pd.DataFrame(
            {"protocol": "rollout", "variant": name, "trajectory": range(40), "members": 1}
            | dict.fromkeys(AVERAGED, mean * spread)
        )
        for name, mean in means.items()
    )
    costs = pd.DataFrame(
        [
            {
                "name": name,
                "parameters": int(size),
                "training_s": training,
                "rollout_s": (seconds or {}).get(name, inference),
            }
            for name, (size, training, inference) in COSTS.items()
        ]
    )
    return Field("<golden>", {f"rollout/{name}/nrmse": mean for name, mean in means.items()}, frame, costs)


def test_the_chain_wins_where_its_error_is_smaller():
    first, second, _ = sentences(field(), "rollout")
    assert "Latent chain 0.90 %, best baseline network U-Net 1.2 %".replace(" %", "\u00a0%") in first
    assert "The chain wins: its error is lower by 25\u00a0%" in first
    assert "guided" not in first
    assert "Latent chain, guided 0.50" in second


def test_the_network_wins_where_its_error_is_smaller():
    first = sentences(field(unet=0.006), "rollout")[0]
    assert "The winner is U-Net: the chain's error is larger by 50\u00a0%" in first


def test_a_guided_chain_is_held_against_the_best_guided_network_if_there_is_one():
    plain, guided = field(), field(unet_guided=0.004, fno_guided=0.006)
    guided = replace(guided, costs=pd.concat([guided.costs, *(
        guided.costs[guided.costs["name"] == name].assign(name=f"{name}_guided") for name in ("unet", "fno")
    )]))  # fmt: skip
    assert "best baseline network U-Net 1.2" in sentences(plain, "rollout")[1]
    first, second, _ = sentences(guided, "rollout")
    assert "best baseline network U-Net 1.2" in first
    assert "best baseline network U-Net, guided 0.40" in second
    assert "The winner is U-Net, guided: the chain's error is larger by 25" in second
    assert "U-Net, guided" in render(guided, pictures(guided))


def test_the_better_of_the_two_networks_is_the_one_to_beat():
    assert "The winner is FNO" in sentences(field(fno=0.003), "rollout")[0]


def test_who_was_clocked_but_never_scored_takes_no_part():
    one = field()
    clocked = pd.concat([one.costs, one.costs[one.costs["name"] == "ttc"].assign(name="ensemble")])
    found = replace(one, costs=clocked)
    assert "ensemble" not in found.there(("deterministic", "ensemble"))
    assert "ensemble" not in render(found, pictures(found)).lower().split("<table")[1]


def test_equal_errors_have_no_winner():
    assert "Nobody wins" in sentences(field(unet=0.009), "rollout")[0]


def test_the_solver_wins_where_it_is_better_and_faster_than_the_best_network():
    told = sentences(field(), "rollout")[-1]
    assert told.startswith("The numerical solver wins: Solver, 256 points, Courant 1 errs by 0.10\u00a0% in 5 ms")
    assert "0.50\u00a0%, 800 ms) is 1.6e+02 times slower" in told


def test_a_slow_or_inaccurate_solver_does_not_win():
    slow = sentences(field({"solver_256_c1": 8.0}), "rollout")[-1]
    assert "only at 10 times its cost" in slow
    assert sentences(field(solver_256_c1=0.007), "rollout")[-1].startswith("No setting of the numerical solver")


def test_the_page_shows_everybody_best_first_and_escapes_names():
    found = field()
    drawn = pictures(found)
    page = render(found, drawn)
    assert [picture.name for picture in drawn] == ["pareto-rollout-training", "pareto-rollout-rollout"]
    assert "&lt;golden&gt; among others" in page
    assert "<golden>" not in page
    order = [
        page.index(f">{named(name)}</th>") for name in ("solver_256_c1", "ttc", "deterministic", "unet", "persistence")
    ]
    assert order == sorted(order)
    assert "5 ms" in page
    assert page.count("<img") == 2


def test_the_solver_is_a_cloud_of_points_against_inference_and_lines_against_training():
    training, inference = (picture.figure.axes[0] for picture in pictures(field()))
    assert len(training.lines) == 2
    assert not inference.lines
    crosses = inference.collections[-1].get_offsets()
    assert np.asarray(crosses) == pytest.approx(np.array([[0.002, 0.03], [0.005, 0.001]]))


def test_every_axis_tells_its_unit(unnamed):
    assert unnamed(pictures(field())) == []


def test_trivial_forecasts_stand_in_the_table_without_a_cost():
    found = field(mean=0.9, nearest=1.1)
    rows = {row.heading: row for row in table(found).rows}
    assert list(rows)[-3:] == ["Training mean", "Nearest training sample", "Persistence"]
    assert [cell.text for cell in rows["Training mean"].cells] == ["–", "–", "0.9", "–"]


def test_without_a_solver_the_page_says_so():
    one = field()
    plain = replace(one, costs=one.costs[~one.costs["name"].str.startswith("solver")])
    assert sentences(plain, "rollout")[-1] == (
        "No numerical solver was tried; of all networks Latent chain, guided has the lowest error."
    )
