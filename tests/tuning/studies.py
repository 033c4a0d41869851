"""Studies of a made-up method whose scores are known, told without running anything."""

import math

from mubench.api.method import MethodSpec
from mubench.api.parameter import choice, log_uniform
from mubench.tuning.score import Score
from mubench.tuning.study import MethodStudy

SPEC = MethodSpec(
    name="X", function="x", search={"lr": log_uniform(1e-4, 1e-1), "rho": choice(0.1, 0.5, 0.9)}
)


def opened(count, storage=None, spec=SPEC, fixed=None):
    """A study of so many trials."""
    return MethodStudy.open(spec, fixed or {"epochs": 5}, count, f"tiny, {spec.name}", storage)


def gap(parameters):
    """The score of a trial in points: best at lr = 1e-2 and rho = 0.5."""
    return 10 * abs(math.log10(parameters["lr"]) + 2) + 20 * abs(parameters["rho"] - 0.5)


def tell(study, batch, of=gap, sets=1):
    """Tell a batch what it scores, the same on the first sets as on all."""
    for one in [one for one in batch if not study.hopeless(one, Score(of(one.trial.parameters)), sets)]:
        study.finish(one, Score(of(one.trial.parameters), {"ua": 1.0}))


def finish(study, of=gap):
    """Run the study to its end; how many trials were asked for at once, batch by batch."""
    sizes = []
    while batch := study.ask():
        sizes.append(len(batch))
        tell(study, batch, of)
    return sizes


def drawn(study):
    """The parameters of its trials by number."""
    return [dict(one.parameters) for one in study.done()]
