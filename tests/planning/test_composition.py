"""What a suite may put together, what it may not, and what a key says of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mubench.cli import main
from mubench.discovery.find import Catalogue
from mubench.discovery.source import takes_steps
from mubench.planning.variant import Variant
from mubench.reporting.results import from_plan

PLUGIN = """
from mubench import mask
@mask("mine", sees="retain")
def mine(model, task, *, share: float = 0.5):
    return {}
@method("Only class", sees="forget", scenarios=["class"])
def only(model, task):
    Step
"""


def variant(body, name="row"):
    return f'\n[[variants]]\nname = "{name}"\n{body}\n'


@pytest.fixture
def planned(bench, plugin_file):
    """`planned(body, parameters)`: the plan with this variant last."""

    def plan(body="", parameters="FT = { lr = 0.02 }", **options):
        tables = f"[methods]\n{parameters}\n" + (variant(body) if body else "")
        return bench(drop=("methods",), tables=tables, plugins=[plugin_file(PLUGIN)], dry=True, **options)

    return plan


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            'base = "GA"\nthen = "Retrain"',
            "variant 'row': then = 'Retrain' names the reference, not a method",
        ),
        (
            'base = "GA"\nthen = "Original"',
            "variant 'row': then = 'Original' names the baseline, not a method",
        ),
        ('base = "Retrain"\nthen = "FT"', "then needs a method as base; Retrain is the reference"),
        ('base = "Original"\nmask = "soft"', "mask needs a method as base; Original is the baseline"),
        (
            'base = "IU"\nmask = "saliency"',
            "variant 'row': mask = 'saliency' needs a method that trains by Step; IU takes none",
        ),
        ('base = "GA"\nmask = "salience"', "unknown mask 'salience'. Did you mean 'saliency'?"),
        ('base = "GA"\nthen = "FTT"', "unknown method 'FTT'"),
        (
            'base = "GA"\nmask = { name = "soft", parameters = { kapa = 1 } }',
            "variant 'row': mask 'soft'. Did you mean 'kappa'?",
        ),
        ('base = "GA"\nthen = { name = "FT", parameters = { lr = "x" } }', "variant 'row': then 'FT': lr"),
        (
            'base = "GA"\nmask = { name = "soft", parameter = {} }',
            "unknown key 'variants.0.mask.parameter'. Did you mean 'parameters'?",
        ),
        ('base = "GA"\nmask = 3', "variants.0.mask: "),
        ('base = "GA"\nthen = ["FT"]', "variants.0.then: "),
    ],
    ids=str,
)
def test_what_cannot_be_put_together_is_one_line_and_exit_2(home, made_up, suite_file, body, message):
    path = suite_file(tables=variant(body))

    result = CliRunner().invoke(main, ["run", "--suite", str(path), "--device", "cpu"])

    lines = result.output.strip().splitlines()
    assert (result.exit_code, len(lines)) == (2, 1), result.output
    assert message in lines[0]


def test_a_plain_row_has_the_facts_it_had(planned, monkeypatch):
    from mubench.planning import plan as plans

    seen = []
    real = plans.method_facts
    monkeypatch.setattr(plans, "method_facts", lambda *given: seen.append(real(*given)) or seen[-1])

    planned('base = "FT"\nparameters = { epochs = 3 }')

    names = {"original", "split", "forgotten", "method", "parameters", "seed", "run"}
    assert len(seen) == 4
    assert all(facts.keys() == names for facts in seen)
    plain = Variant(name="a", base="FT")
    assert (plain.model_dump(), plain.words) == ({"name": "a", "base": "FT", "parameters": {}}, "")


def test_the_table_says_what_a_row_is_put_together_of(planned):
    plan = planned('base = "GA"\nmask = "mine"\nthen = { name = "FT", parameters = { epochs = 2 } }')

    manifest = from_plan(plan, "tiny", {})

    assert "row: GA under the mask mine, then FT." in manifest.notes
    (row,) = (row for row in manifest.rows if row.name == "row")
    assert row.parameters == {"epochs": 5, "lr": 5e-4, **plan.rows[-1].composition.shown}


def test_each_part_and_its_options_decide_the_key(planned):
    bodies = [
        'base = "GA"',
        'base = "GA"\nmask = "saliency"',
        'base = "GA"\nmask = { name = "saliency", parameters = { rho = 0.4 } }',
        'base = "GA"\nmask = "soft"',
        'base = "GA"\nthen = "FT"',
        'base = "GA"\nthen = { name = "FT", parameters = { lr = 0.03 } }',
        'base = "GA"\nmask = "saliency"\nthen = "FT"',
        'base = "FT"\nthen = "GA"',
    ]
    keys = {planned(body).rows[-1].keys[0] for body in bodies}

    assert len(keys) == len(bodies)
    assert planned('base = "GA"\nmask = { name = "saliency" }').rows[-1].keys[0] in keys
    by_hand = planned('base = "GA"\nthen = { name = "FT", parameters = { lr = 0.02 } }')
    assert by_hand.rows[-1].keys[0] in keys, "the suite's parameters for FT hold in a pass after GA too"


def test_a_row_chosen_alone_keeps_its_key(planned):
    body = 'base = "GA"\nmask = "mine"\nthen = "FT"'
    parameters = "FT = { lr = 0.02 }\nGA = { lr = 0.1 }"

    (alone,) = (r for r in planned(body, parameters, methods="row").rows if r.name == "row")

    assert alone.keys == planned(body, parameters).rows[-1].keys


def test_a_row_sees_what_its_parts_see_and_applies_where_they_do(planned):
    row = planned('base = "GA"\nmask = "mine"\nthen = "FT"').rows[-1]
    assert row.composition.sees(Catalogue().methods["GA"]) == ("forget", "retain")
    assert row.composition.shown == {
        "mask": "mine",
        "mask share": 0.5,
        "then": "FT",
        "then epochs": 10,
        "then lr": 0.02,
    }

    skipped = planned('base = "GA"\nthen = "Only class"').rows[-1]

    assert (skipped.status, skipped.keys) == ("skipped", {})
    assert skipped.reason == "Only class is not for random forgetting, only class"


def test_which_methods_take_steps():
    methods = Catalogue().methods
    by_step = {name for name, spec in methods.items() if takes_steps(Path(spec.path))}

    assert {"FT", "GA", "RL", "SalUn", "BE", "BS", "l1-sparse", "CL", "WS-CL", "WSS-CL"} <= by_step
    assert not {"IU", "Original"} & by_step
