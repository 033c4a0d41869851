"""Methods whose original is of their own kind: their cells, what reaches them, what is timed and kept."""

import pytest
from safetensors.torch import load_file

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.reporting.cells import cells_frame
from mubench.reporting.results import from_plan
from mubench.running.executor import execute

# The original is the mean brightness of each class's images.
OWN = """
class Means(nn.Module):
    def __init__(self, task, scale):
        super().__init__()
        self.start = nn.Parameter(task.fresh_model().head.bias.detach().clone())
        self.register_buffer("means", torch.zeros(task.num_classes))
        self.scale = scale

    def forward(self, x):
        return -self.scale * (x.mean((1, 2, 3))[:, None] - self.means) ** 2

    def see(self, images):
        for x, y in images.plain(1000):
            for k in y.unique().tolist():
                self.means[k] = x[y == k].mean()


def trained(model, task, *, scale: float):
    {before}
    made = Means(task, scale)
    made.see(task.train)
    task.log(seen=len(task.train), first=int(task.train.ids.min()) if len(task.train) else -1)
    return made


@method("Own", sees=["forget", "retain"], original=trained, cite="Nobody 2025"{more})
def own(model, task, *, scale: float = 50.0, other: int = 1):
    task.log(before=model.means.tolist(), start=model.start.tolist())
    task.log(fresh=task.fresh_model().head.bias.tolist())
    model.see(task.retain)
"""
TWIN = '[[variants]]\nname = "Twin"\nbase = "Own"\nparameters = { other = 3 }'


@pytest.fixture
def own(bench, plugin_file):
    """`own(change="", before="pass", more="", dry=False, ...)`: a run with a method of its own original."""

    def run(change="", *, before="pass", more="", **options):
        path = plugin_file(OWN.replace("{before}", before).replace("{more}", more))
        return bench(change, plugins=[path], **options)

    return run


def test_each_seed_has_an_original_its_retrain_and_a_deletion_that_alone_is_timed(own):
    plan, outcomes, store = own("seeds = [0, 1]", before="time.sleep(0.3)")

    assert {o.status for o in outcomes.values()} == {"ok"}
    assert not execute(plan.missing(store), store, 0)
    for seed, split in plan.blocks[0].splits.items():
        named = {n: store.get(o.cell.key) for (n, s, _), o in outcomes.items() if s == seed and "Own" in n}
        assert named.keys() == {"Own", "Own ()", "Own (Original)", "Own (Retrain)"}
        about = {name: record.about for name, record in named.items()}
        # the original saw all training images, its Retrain those to retain, and the method got the original
        assert about["Own ()"]["notes"] == {"seen": len(split.train), "first": int(split.train.min())}
        assert about["Own ()"]["cost"]["read"]["train"] == len(split.train)
        assert about["Own (Retrain)"]["notes"] == {
            "seen": len(split.retain),
            "first": int(split.retain.min()),
        }
        weights = {n: w.tolist() for n, w in load_file(named["Own ()"].weights).items()}
        notes = about["Own"]["notes"]
        assert notes["before"] == weights["means"]
        assert notes["start"] == weights["start"] != notes["fresh"]
        assert about["Own"]["original"] == named["Own ()"].folder.name
        assert about["Own"]["own"] == {"name": "Own", "parameters": {"scale": 50.0}}
        assert about["Own (Original)"]["changed"] == 0
        for name in ("Own", "Own (Retrain)"):
            read = about[name]["cost"]["read"]
            assert (read["forget"], read["retain"]) == (0, len(split.retain))
        assert about["Own"]["cost"]["seconds"] < 0.3 <= about["Own (Retrain)"]["cost"]["seconds"]
        # deletion is exact here, and the original was another
        logits = {n: r.outputs().logits["test"] for n, r in named.items() if n != "Own ()"}
        assert (logits["Own"] == logits["Own (Retrain)"]).all()
        assert (logits["Own"] != logits["Own (Original)"]).any()
    # metrics that look at Retrain or the Original look at those of its own kind
    manifest = from_plan(plan, "tiny", {})
    wanted = {name: Catalogue().metrics[name] for name in ("agreement", "ua", "rmia")}
    frame = cells_frame(manifest, store, wanted).set_index(["method", "seed"])
    assert frame.loc["Own", "agreement_test"].to_list() == [100, 100]
    assert frame.loc["Own", "target"].to_list() == ["Own (Retrain)"] * 2
    assert (frame.loc["Own (Original)", "agreement_test"] < 100).any()


def test_keys_and_streams(own):
    far = '[[variants]]\nname = "Far"\nbase = "Own"\nparameters = { scale = 2.0 }'
    plan = own(tables=f"{TWIN}\n{far}", dry=True)
    every = own('forget = { scenario = "class", class = "all" }', dry=True)
    other = own(before="len(task.train)", dry=True)

    cells = {cell.key: cell for one in (plan, every, other) for cell in one.cells}

    def of(one, name, row=0):
        """The row's cell and the key of the original that it starts from."""
        rows = {row.name: row.keys[0] for row in one.blocks[row].rows}
        return cells[rows[name]], cells[rows[name]].original

    # the key of an original follows the source and the parameters it takes, but no others and no forget set
    assert of(plan, "Own")[1] == of(plan, "Twin")[1] == of(every, "Own")[1] == of(every, "Own", 1)[1]
    assert len({of(one, name)[1] for one, name in ((plan, "Own"), (plan, "Far"), (other, "Own"))}) == 3
    assert of(plan, "Own")[0].key != of(plan, "Twin")[0].key
    assert of(plan, "Own (Retrain)")[0].key == of(plan, "Twin (Retrain)")[0].key
    # deletion and its Retrain share no draws
    assert [of(plan, name)[0].stream for name in ("Own", "Own (Retrain)")] == ["unlearn", "retrain"]


@pytest.mark.parametrize(
    ("before", "failed", "reason"),
    [
        (
            "task.retain",
            ["", " (Original)", " (Retrain)"],
            "PermissionError: the original of Own reads task.retain: task.train is for",
        ),
        (
            "list(task.train)[0]",
            ["", " (Original)"],
            "on no images, which make its module, the function of",
        ),
        (
            "task.num_classes += len(task.train) == 0",
            ["", " (Original)"],
            "the module that the function of original= makes of no images does not fit its weights",
        ),
    ],
)
def test_an_original_that_cannot_be_trained_or_put_together_fails_its_rows_alone(own, before, failed, reason):
    _, outcomes, _ = own(before=before)

    bad = {n: o.reason for (n, _, _), o in outcomes.items() if o.status == "failed"}
    assert {f"Own{ending}" for ending in failed} == bad.keys() - {"Own ()"}
    assert all(reason in why for why in bad.values())


def test_a_row_that_does_not_apply_is_skipped_with_its_own_rows(own):
    plan = own(more=', scenarios=["class"]', dry=True)

    skipped = {row.name: row.reason for row in plan.rows if row.status == "skipped"}
    names = ("Own", "Own (Original)", "Own (Retrain)")
    assert skipped == dict.fromkeys(names, "not for random forgetting, only class")
    assert not [c for c in plan.cells if c.own]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('base = "Own"\nmask = "saliency"', "mask needs a method that starts from the usual original; Own"),
        ('base = "FT"\nthen = "Own"', "then = 'Own' names a method that needs an original of its own"),
        ('base = "FT"', r"'Own \(Retrain\)', the name of a row that joins by itself"),
    ],
)
def test_what_cannot_stand_beside_it_is_refused(own, lines, message):
    name = "both" if "mask" in lines or "then" in lines else "Own (Retrain)"

    with pytest.raises(UsageError, match=message):
        own(tables=f'[[variants]]\nname = "{name}"\n{lines}', dry=True)
