"""Rows put together by a suite are, bit for bit, what one would write by hand."""

import numpy as np
import pytest

from mubench.planning.cell import CELL

BY_HAND = """
from mubench import largest, mask, saliency
from mubench.methods.cl import cl
from mubench.methods.ft import fine_tune
from mubench.methods.ga import gradient_ascent

@mask("ones")
def ones(model, task):
    return {n: torch.ones_like(p) for n, p in model.named_parameters()}

@mask("zeros")
def zeros(model, task):
    return {n: torch.zeros_like(p) for n, p in model.named_parameters()}

@mask("bodies", sees="retain")
def bodies(model, task, *, scale: float = 1.0):
    "Only what is no head moves; reads a set and logs."
    for x, _ in task.retain:
        pass
    task.log(seen=len(x))
    return {n: torch.full_like(p, 0.0 if "head" in n else scale) for n, p in model.named_parameters()}

@method("GA, FT by hand", sees=("forget", "retain"))
def ga_ft(model, task):
    gradient_ascent(model, task, epochs=1, lr=0.01)
    fine_tune(model, task, epochs=2, lr=0.03)

@method("half by hand", sees=("forget", "retain"))
def half(model, task):
    "GA at half rate but for the head, after a pass over D_r that changes nothing, and FT of everything."
    for _ in task.retain:
        pass
    rates = {n: torch.full_like(p, 0.0 if "head" in n else 0.5) for n, p in model.named_parameters()}
    climb = Step(model, lambda m, x, y: -cross_entropy_loss(m, x, y), 0.01, mask=rates)
    for x, y in task.forget:
        climb(x, y)
    fine_tune(model, task, epochs=2, lr=0.03)

@method("logs", sees="forget")
def logs(model, task, *, epochs: int = 1):
    task.log(mine=len(task.forget))
    step = Step(model, cross_entropy_loss, 0.01)
    for x, y in task.forget:
        step(x, y)
"""
METHODS = """
FT = { epochs = 2, lr = 0.03 }
GA = { epochs = 1, lr = 0.01 }
RL = { epochs = 2, lr = 0.01 }
SalUn = { epochs = 2, lr = 0.01, rho = 0.3 }
CL = { epochs = 1 }
WS-CL = { epochs = 1 }
WSS-CL = { epochs = 1 }
"GA, FT by hand" = {}
"half by hand" = {}
"""
VARIANTS = {
    "GA ones": 'base = "GA"\nmask = "ones"',
    "GA zeros": 'base = "GA"\nmask = "zeros"',
    "GA, FT": 'base = "GA"\nthen = "FT"',
    "half": 'base = "GA"\nmask = { name = "bodies", parameters = { scale = 0.5 } }\nthen = "FT"',
    "RL saliency": 'base = "RL"\nmask = { name = "saliency", parameters = { rho = 0.3 } }',
    "CL saliency": 'base = "CL"\nmask = "saliency"',
    "CL soft": 'base = "CL"\nmask = "soft"',
    "BE saliency": 'base = "BE"\nmask = "saliency"',
    "logs twice": 'base = "logs"\nmask = "bodies"\nthen = "logs"',
}
PAIRS = [
    ("GA ones", "GA"),
    ("GA, FT", "GA, FT by hand"),
    ("half", "half by hand"),
    ("RL saliency", "SalUn"),
    ("CL saliency", "WS-CL"),
    ("CL soft", "WSS-CL"),
]


def variants(rows):
    return "\n".join(f'[[variants]]\nname = "{name}"\n{body}' for name, body in rows.items())


@pytest.fixture
def composed(bench, plugin_file):
    """`composed({row: its lines}, body)`: a run of these variants beside a plugin."""

    def run(rows, body=BY_HAND, methods="", **options):
        tables = f"[methods]\n{methods}\n{variants(rows)}"
        return bench(drop=("methods",), tables=tables, plugins=[plugin_file(body)], **options)

    return run


def outputs(store, key):
    found = store.get(key).outputs()
    return {(kind, name): a for kind in ("logits", "features") for name, a in getattr(found, kind).items()}


@pytest.mark.slow
def test_a_row_put_together_is_what_one_writes_by_hand(composed):
    plan, outcomes, store = composed(VARIANTS, methods=METHODS)
    assert {(o.status, o.reason) for o in outcomes.values()} == {("ok", "")}
    records = {row.name: store.get(row.keys[0]) for row in plan.rows}

    for one, two in PAIRS:
        first, second = (outputs(store, records[name].about["key"]) for name in (one, two))
        costs = [records[name].about["cost"] for name in (one, two)]
        assert records[one].about["key"] != records[two].about["key"], one
        assert all(np.array_equal(first[k], second[k]) for k in first), one
        assert first.keys() == second.keys(), one
        for name in ("read", "forward", "backward"):
            assert costs[0][name] == costs[1][name], (one, name)
    plain, original = (outputs(store, records[name].about["key"]) for name in ("GA", "Original"))
    assert not np.array_equal(plain["logits", "test"], original["logits", "test"])
    about = records["half"].about
    assert (about["method"], about["mask"], about["then"]) == (
        "GA",
        {"name": "bodies", "parameters": {"scale": 0.5}},
        {"name": "FT", "parameters": {"epochs": 2, "lr": 0.03}},
    )
    assert not {"mask", "then"} & records["GA"].about.keys()
    assert records["logs twice"].about["notes"] == {"mine": 22, "mask": {"seen": 28}, "then": {"mine": 22}}
    assert 0 < records["BE saliency"].about["changed"] <= 0.6


WRONG = {
    "reads": (
        '@mask("wrong")\ndef wrong(model, task):\n    task.forget',
        "PermissionError: wrong reads task.forget without declaring it: "
        "@mask('wrong', sees=...) must name 'forget' (mine.py, line 9)",
    ),
    "lacks": (
        '@mask("wrong")\ndef wrong(model, task):\n    return {}',
        "ValueError: the mask 'wrong' has no entry of shape (32, 1, 3, 3) for 'backbone.0.weight'",
    ),
    "beyond": (
        '@mask("wrong")\ndef wrong(model, task):\n'
        "    return {n: torch.full_like(p, 1.5) for n, p in model.named_parameters()}",
        "ValueError: the mask 'wrong' has values outside [0, 1] for 'backbone.0.weight'",
    ),
    "writes": (
        '@mask("wrong")\ndef wrong(model, task):\n    model.head.bias.data += 1\n'
        "    return {n: torch.ones_like(p) for n, p in model.named_parameters()}",
        "ValueError: the mask 'wrong' changes the model that it is made for",
    ),
}
ONES = """
from mubench import mask
@mask("wrong")
def wrong(model, task, *, value: float = 1.0):
    return {n: torch.full_like(p, value) for n, p in model.named_parameters()}
"""
BASES = {
    "by its own optimiser": (
        "Step\n    model.head.bias.data += 1",
        1.0,
        "ValueError: Mine trains without Step: no mask acts on it",
    ),
    "past its mask": (
        "Step(model, cross_entropy_loss, 0.1)\n    model.head.bias.data += 1",
        0.0,
        "ValueError: Mine moves 3 weights that its mask holds: it changes them without Step",
    ),
    "another model": (
        "Step(model, cross_entropy_loss, 0.1)\n    return nn.Flatten()",
        0.0,
        "ValueError: Mine leaves no 'backbone.0.weight' of shape (32, 1, 3, 3): no mask holds on it",
    ),
}
MINE = '@method("Mine", sees="forget")\ndef mine(model, task):\n    {}\n'


@pytest.mark.parametrize("name", WRONG)
def test_a_mask_that_cannot_be_used_fails_its_row(composed, name):
    body, reason = WRONG[name]

    _, outcomes, _ = composed({"masked": 'base = "GA"\nmask = "wrong"'}, f"from mubench import mask\n{body}")

    assert [o.reason for o in outcomes.values() if o.status == "failed"] == [reason]


@pytest.mark.parametrize("name", BASES)
def test_a_method_that_passes_its_mask_by_fails_its_row(composed, name):
    body, value, reason = BASES[name]
    row = {"masked": f'base = "Mine"\nmask = {{ name = "wrong", parameters = {{ value = {value} }} }}'}

    _, outcomes, _ = composed(row, ONES + MINE.format(body))

    assert {"Mine"} == {o.cell.spec.name for o in outcomes.values() if o.status == "failed"}
    assert reason in {o.reason for o in outcomes.values()}


def test_a_cell_with_parts_survives_json(composed):
    plan = composed({"half": VARIANTS["half"]}, dry=True)

    cell = plan.cells[-1]

    assert (cell.composition.mask.spec.name, cell.composition.then.spec.name) == ("bodies", "FT")
    assert CELL.validate_json(CELL.dump_json(cell)) == cell
