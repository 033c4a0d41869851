"""The contract of methods rule by rule, for `mubench check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mubench.api.method import MethodSpec
from mubench.discovery.find import load_function
from mubench.errors import one_line
from mubench.running.contract import (
    ContractError,
    Trace,
    Trial,
    check_cost,
    check_length,
    check_search,
    check_streams,
)
from mubench.running.made_up import IMAGES

Status = Literal["pass", "FAIL", "skip", "advice"]
# Batches that leave one image for the last of `plain()`: of 18 images to retain, of 6 to forget.
LAST_OF_ONE = (17, 5)
MANY = 100


@dataclass(frozen=True)
class Verdict:
    """How a plugin stands with one rule; reason: why it fails, is not checked, or what would be better."""

    rule: str
    status: Status
    reason: str = ""


# What a trial can break -> the rule in words, in the order in which they are printed.
RULES = {
    "original": "trains an original of its own from task.train alone, which its weights put together again",
    "runs": "runs to its end in every scenario that it declares",
    "sees": "reads only the sets that it declares",
    "logits": "leaves a model that gives K finite logits for each image",
    "finite": "leaves finite weights",
    "data": "leaves the images and labels as they were",
    "notes": "logs what a record can keep",
    "cost": "passes its images through the model as it is counted",
    "deterministic": "gives the same weights again under the same seed",
    "global": "draws from task.rng, not from the global random state",
    "reseeds": "does not seed the global random generators",
    "settings": "leaves threads, gradients and other settings of torch as they were",
    "length": "changes nothing when its epochs are 0",
    "search": "has a search space of its parameters' types, and a scenario",
    "small": "works where every set is smaller than a batch",
    "last": "works where the last batch holds one image",
    "one": "works where one class remains",
    "many": f"works with {MANY} classes",
}


def check_rules(spec: MethodSpec) -> list[Verdict]:
    """Every rule in order, then advice; each trial is a run on a made-up task of a few images."""
    trial = Trial(spec, load_function(spec), spec.bind({}, f"parameters of {spec.name}"))
    outcomes: dict[str, Trace] = {}
    failed = {error.rule: one_line(str(error)) for error in _errors(trial, outcomes)}
    # what stops the method stops every further trial
    fatal = ("original", "runs", "sees", "logits", "finite", "data", "notes")
    stopped = next((rule for rule in fatal if rule in failed), "")
    verdicts = []
    for rule, words in RULES.items():
        if rule == "original" and spec.original is None:
            continue
        if rule in failed:
            verdicts.append(Verdict(words, "FAIL", failed[rule].removeprefix(f"method {spec.name!r} ")))
        elif stopped and rule != "search":
            verdicts.append(Verdict(words, "skip", f"not checked: the method fails before ({stopped})"))
        elif rule == "one" and "class" not in spec.scenarios:
            verdicts.append(Verdict(words, "skip", "not for class forgetting"))
        else:
            verdicts.append(Verdict(words, "pass"))
    idle = bool(outcomes) and not stopped and not any(trace.changed for trace in outcomes.values())
    return [*verdicts, *advice(spec, idle)]


def _errors(trial: Trial, outcomes: dict[str, Trace]) -> Iterator[ContractError]:
    """What is broken; after a trial that cannot be finished, none follow.

    outcomes: what the first trial in each scenario did is put there.
    """
    spec = trial.spec
    yield from _caught(lambda: check_search(trial))
    if not spec.scenarios:
        return
    first = spec.scenarios[0]
    for scenario in spec.scenarios:
        try:
            outcomes[scenario] = trial.run(scenario)
        except ContractError as error:
            yield error
            return
    outcome = outcomes[first]
    for one in outcomes.values():
        yield from _caught(lambda one=one: check_cost(trial, one))  # type: ignore[misc]
        if one.settings:
            yield trial.fail("settings", f"leaves {' and '.join(one.settings)} changed")
    yield from _caught(lambda: check_streams(trial, first, outcome))
    other = trial.run(first, seed=2).global_state
    if same := [name for name, state in outcome.global_state.items() if other[name] == state]:
        yield trial.fail("reseeds", f"sets the seed of {' and '.join(same)} global random generator")
    yield from _caught(lambda: check_length(trial, first))
    yield from _caught(lambda: trial.run(first, batch_size=2 * IMAGES), "small")
    for size in LAST_OF_ONE:
        yield from _caught(lambda size=size: trial.run(first, batch_size=size), "last")  # type: ignore[misc]
    if "class" in spec.scenarios:
        yield from _caught(lambda: trial.run("class", classes=2), "one")
    yield from _caught(lambda: trial.run(first, batch_size=64, classes=MANY, images=3 * MANY), "many")


def _caught(work: Callable[[], object], rule: str = "") -> Iterator[ContractError]:
    """What is raised; rule: of whatever it is, unless given the error's own."""
    try:
        work()
    except ContractError as error:
        error.rule = rule or error.rule
        yield error


def advice(spec: MethodSpec, idle: bool = False) -> Iterator[Verdict]:
    """What no rule demands and readers miss. idle: whether it changed no weight."""
    if idle and spec.role == "method":
        yield Verdict("effect", "advice", "it changed no weight of the made-up task: a table would say so")
    if not spec.doc.strip():
        yield Verdict("docstring", "advice", "say what it minimises, where its defaults come from, its cost")
    else:
        silent = [p.name for p in spec.parameters if p.name not in spec.doc]
        if silent:
            yield Verdict("parameters", "advice", f"the docstring does not mention {', '.join(silent)}")
    if not spec.cite.strip() and spec.role != "baseline":
        yield Verdict("citation", "advice", 'cite="Author et al. 2025" names what the row stands for')
    if spec.parameters and not (spec.search or spec.original) and spec.role == "method":
        yield Verdict(
            "search space", "advice", "search={...} lets `mubench tune` find its hyper-parameters, as others'"
        )
