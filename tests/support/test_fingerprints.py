"""Code is named by what it does, with all that it reaches."""

import pytest

from universal_simulator import problems
from universal_simulator.support import fingerprints
from universal_simulator.support.fingerprints import code_behind, code_fingerprint, reaches

CODE = """
from universal_simulator.fields import symmetries

def double(x: int) -> int:
    return 2 * x
"""


def forget() -> None:
    """Have files read anew."""
    for cached in vars(fingerprints).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


@pytest.fixture
def named(tmp_path, monkeypatch):
    """Return the fingerprint of a module with this text."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = iter(range(100))

    def fingerprint(text: str) -> str:
        forget()
        folder = tmp_path / str(next(numbers))
        folder.mkdir(exist_ok=True)
        (folder / "stage_of_a_test.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        return code_fingerprint("stage_of_a_test")

    return fingerprint


def test_words_and_layout_do_not_count(named):
    commented = CODE.replace("    return", '    """Twice."""\n\n    # two\n    return').replace("2 * x", "(2 * x)")
    assert named(CODE) == named(commented)


@pytest.mark.parametrize("change", [("2 * x", "3 * x"), ("fields import symmetries", "fields import spectral")])
def test_what_it_does_and_what_it_imports_count(named, change):
    assert named(CODE) != named(CODE.replace(*change))


def test_a_stage_reaches_its_network_and_the_loop_but_not_the_reports():
    reached = fingerprints._closure("universal_simulator.pipelines.operator.nodes")
    steps = ("networks.operator", "networks.semilinear")
    for name in ("training.loop", "fields.latents", "pipelines.training_stage", *steps):
        assert f"universal_simulator.{name}" in reached
    network = fingerprints.named_modules({"operator": {"network": {"kind": "u_transformer"}}})
    assert list(network) == ["universal_simulator.networks.u_transformer"]
    assert not [name for name in reached if "reporting" in name or "configuration" in name or "evaluation" in name]


@pytest.mark.parametrize("name", ["page.html.j2", "page.css"])
def test_what_a_module_fills_in_counts_as_part_of_it(named, tmp_path, name):
    code = f'TEMPLATE = "{name}"\n'
    found = []
    for number, text in enumerate(("one", "two")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).write_text(text)
        found.append(named(code))
    assert found[0] != found[1]


def test_a_name_of_no_file_beside_it_is_no_matter(named):
    assert named('TEMPLATE = "nowhere.css"\n') != named('TEMPLATE = "elsewhere.css"\n')


def test_a_report_is_named_with_its_template_and_style():
    tree = fingerprints._tree("universal_simulator.reporting.page")
    beside = fingerprints._beside("universal_simulator.reporting.page", tree)
    assert {path.name for path in beside} == {"page.html.j2", "page.css"}


STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_learns_by_holds_no_problem_and_no_baseline(stage):
    module = f"universal_simulator.pipelines.{stage}.nodes"
    assert not reaches(module, "universal_simulator.problems")
    reached = fingerprints._closure(module)
    assert not [name for name in reached if ".problems" in name or ".baselines" in name]
    assert not {"universal_simulator.networks.u_net", "universal_simulator.networks.fourier"} & reached


def test_another_problem_in_the_room_changes_no_earlier_stage_and_no_other_problem(tmp_path, monkeypatch):
    def keys() -> list[str]:
        forget()
        stages = [code_behind(f"universal_simulator.pipelines.{stage}.nodes") for stage in STAGES]
        return [*stages, code_behind("universal_simulator.pipelines.evaluation.nodes", {"problem": "burgers"})]

    before = keys()
    (tmp_path / "of_a_test.py").write_text("from universal_simulator.physics import solver\n")
    monkeypatch.setattr(problems, "__path__", [*problems.__path__, str(tmp_path)])
    assert "of_a_test" in problems.names()
    assert keys() == before
    there = code_behind("universal_simulator.pipelines.evaluation.nodes", {"problem": "of_a_test"})
    assert there != before[-1]
