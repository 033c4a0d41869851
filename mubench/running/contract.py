"""What every method must honour, checked on a made-up task: `check_method(my_function)`.

For a plugin's own tests. The task goes through the classes that a real run uses, so what passes here
fails there for its results only, never for its manners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mubench.api.cost import Ledger
from mubench.api.method import MethodSpec
from mubench.api.spec import specs_of
from mubench.discovery.find import load_function
from mubench.errors import UsageError
from mubench.planning.cell import Own
from mubench.running.evaluate import as_json, check_logits, predict, unlearned_model
from mubench.running.global_state import current_settings, fresh_state, global_states
from mubench.running.made_up import CLASSES, IMAGES, MadeUp
from mubench.running.own import OwnTraining, count_into, put_together, trained_alone


class ContractError(AssertionError):
    """A method broke the contract; rule: which part of it, by a word of `running.rules`."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True)
class Trace:
    """What a method did to the made-up task: the weights before and after, and what it used.

    settings: those of the process that it left changed. global_state: of the random generators, afterwards.
    """

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    ledger: Ledger
    settings: tuple[str, ...] = ()
    global_state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> list[str]:
        """Names of the parameters that are not bit-identical to the original's."""
        return differing(self.before, self.after)


def differing(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> list[str]:
    """Names that only one holds, or whose values are not bit-identical."""
    return [
        n for n in sorted({*one, *two}) if n not in one or n not in two or not torch.equal(one[n], two[n])
    ]


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


class Trial:
    """A method to be run on the made-up task, whatever goes wrong being an AssertionError that names it."""

    def __init__(self, spec: MethodSpec, function: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
        self.spec, self.function, self.parameters = spec, function, dict(parameters)

    def fail(self, rule: str, message: str, cause: BaseException | None = None) -> ContractError:
        error = ContractError(rule, f"method {self.spec.name!r} {message}")
        error.__cause__ = cause
        return error

    def run(
        self,
        scenario: str,
        *,
        batch_size: int = 4,
        seed: int = 1,
        classes: int = CLASSES,
        images: int = IMAGES,
        **changed: Any,
    ) -> Trace:
        """Run once under the global random seed `seed`."""
        made, ledger = MadeUp(scenario, batch_size, classes, images), Ledger()
        task = made.task(self.spec, ledger)
        where = f"in scenario {str(scenario)!r}, batches of {batch_size}"
        with fresh_state(seed):
            model = self._own_original(made, where, changed) or made.original(ledger)
            count_into(model, ledger)
            before = _weights(model)
            torch.manual_seed(seed)
            settings = current_settings()
            try:
                result = self.function(model, task, **{**self.parameters, **changed})
            except PermissionError as error:
                raise self.fail("sees", f"touches an undeclared set ({where}): {error}", error) from error
            except Exception as error:
                said = f"stops with {type(error).__name__} ({where}): {error}"
                raise self.fail("runs", said, error) from error
            left = tuple(name for name, value in current_settings().items() if value != settings[name])
            states = global_states()
        used = Ledger(dict(ledger.reads), ledger.forward, ledger.backward)
        try:
            unlearned = unlearned_model(result, model)
            check_logits(predict(unlearned, made.pixels)[0], classes, "on the task's images")
        except (TypeError, ValueError, FloatingPointError) as error:
            rule = "finite" if isinstance(error, FloatingPointError) else "logits"
            raise self.fail(rule, f"leaves no usable model ({where}): {error}", error) from error
        try:
            as_json(task.notes)
        except TypeError as error:
            raise self.fail("notes", f"logs what a record cannot keep ({where}): {error}", error) from error
        for name in made.changed:
            raise self.fail("data", f"changed the images or labels of the {name} set ({where})")
        return Trace(before, _weights(unlearned), used, left, states)

    def _own_original(self, made: MadeUp, where: str, changed: Mapping[str, Any]) -> nn.Module | None:
        """The original of the method's own kind, if it declares one, put together again from its weights."""
        own = Own.of(self.spec, {**self.parameters, **changed})
        if own is None:
            return None

        def training(count: int | None = None) -> OwnTraining:
            task = made.task(trained_alone(own.spec), Ledger(), "own original", count)
            return OwnTraining(self.function, own, task)

        try:
            trained = training()()
            logits = predict(trained, made.pixels)[0]
            check_logits(logits, made.classes, "on the task's images")
            again = put_together(training(0), trained.state_dict())
        except Exception as error:
            said = f"trains no usable original of its own ({where}): {type(error).__name__}: {error}"
            raise self.fail("original", said, error) from error
        if not torch.equal(predict(again, made.pixels)[0], logits):
            raise self.fail(
                "original",
                f"has an original that gives other logits when put together from its weights ({where}): "
                "keep what it needs in parameters and buffers",
            )
        return again


def _check_declaration(trial: Trial) -> None:
    spec = trial.spec
    if not spec.doc.strip():
        raise trial.fail(
            "declared", "has no docstring: say what it minimises, where its defaults come from, its cost"
        )
    if not spec.cite.strip() and spec.role != "baseline":
        raise trial.fail("declared", "has no cite: name the publication that the row stands for")
    check_search(trial)


def check_search(trial: Trial) -> None:
    """Whether there is a scenario, and every value of the search space is of its parameter's type."""
    spec = trial.spec
    if not spec.scenarios:
        raise trial.fail("declared", "applies to no scenario")
    for p in spec.parameters:
        search = spec.search.get(p.name, {})
        for value in [*search.get("choices", []), *search.get("log", [])]:
            try:
                p.check(value, "its search range")
            except UsageError as error:
                raise trial.fail("search", f"cannot be tuned: {error}", error) from error


def check_cost(trial: Trial, outcome: Trace) -> None:
    """Whether the cost is a count of images, and fits what was done."""
    used = outcome.ledger
    read = sum(used.reads.values())
    cost = f"{read} images read, {used.forward} passed forward and {used.backward} backward"
    for count in (*used.reads.values(), used.forward, used.backward):
        if type(count) is not int or count < 0:
            raise trial.fail("cost", f"has a cost that is not a count of images: {cost}")
    if trial.spec.role == "baseline" and (read or used.forward or outcome.changed):
        raise trial.fail("cost", f"is a baseline, which does nothing, but: {cost}; changed {outcome.changed}")
    if outcome.changed and read and not used.forward:
        raise trial.fail(
            "cost",
            f"changes weights by images that never pass through the model as it is counted ({cost}): "
            "call model(x) or model.features(x), not the layers inside",
        )
    if used.backward > used.forward:
        raise trial.fail("cost", f"passes more images backward than forward: {cost}")


def check_streams(trial: Trial, scenario: str, outcome: Trace) -> None:
    """Whether the same streams give the same weights, whatever the global random state."""
    if not (names := differing(outcome.after, trial.run(scenario, seed=2).after)):
        return
    if differing(outcome.after, trial.run(scenario).after):
        raise trial.fail("deterministic", f"is not deterministic: a second run gave other values for {names}")
    raise trial.fail(
        "global", f"depends on the global random state (see {names}): draw from task.rng instead"
    )


def check_length(trial: Trial, scenario: str) -> None:
    """Whether no epochs leave the weights as they were."""
    spec = trial.spec
    lengths = {p.name: 0 for p in spec.parameters if p.name.startswith("epochs") and p.kind == "int"}
    if lengths and spec.role == "method" and (names := trial.run(scenario, **lengths).changed):
        raise trial.fail("length", f"changes {names} with {', '.join(lengths)} = 0")


def check_method(
    method: Callable[..., Any] | MethodSpec, parameters: Mapping[str, Any] | None = None
) -> dict[str, Trace]:
    """Run a method on a made-up task of 24 images and 3 classes; AssertionError if it misbehaves.

    method: the decorated function, or a spec from the registry. parameters: in place of its defaults.

    Checked: docstring, cite and search ranges; K logits and finite weights, in every
    declared scenario, with a forget set smaller than a batch too; only declared sets are read, and
    no data changed; the same streams give bit-identical weights, whatever the global random state;
    notes fit into a record; the cost is counted; no epochs (all int parameters called epochs...
    set to 0) leave the original's weights.

    Returns what it did, by scenario. Raises TypeError if `method` is not a declared method.
    """
    if isinstance(method, MethodSpec):
        spec, function = method, load_function(method)
    elif specs_of(method) and isinstance(own := specs_of(method)[0], MethodSpec):
        spec, function = own, method
    else:
        raise TypeError(f"{method!r} is not declared with @method(name, ...)")
    trial = Trial(spec, function, spec.bind(parameters or {}, f"parameters of {spec.name}"))
    _check_declaration(trial)
    first = spec.scenarios[0]
    outcomes: dict[str, Trace] = {s: trial.run(s) for s in spec.scenarios}
    for outcome in (*outcomes.values(), trial.run(first, batch_size=2 * IMAGES)):
        check_cost(trial, outcome)
    check_streams(trial, first, outcomes[first])
    check_length(trial, first)
    return outcomes
