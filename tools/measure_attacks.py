"""How fast the exact attacks are, and how near to scikit-learn: `python tools/measure_attacks.py`.

Prints a table in markdown. The threshold attack against the loop over all thresholds that defines it,
the SVC attack against one call of scikit-learn's SVC (minutes), both on 10,000 + 10,000 made-up scores.
With `--bootstraps`, how long it takes instead to fit either attack 200 times to bootstrapped scores.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from mubench.metrics._bootstrap import DRAWS, bootstrapped_error
from mubench.metrics.svc import fitted_machine, share_of_nonmembers
from mubench.metrics.threshold import best_threshold

N = 10_000
Scores = NDArray[np.float64]
Sides = tuple[Scores, Scores]


def saturated(rng: np.random.Generator, n: int = N) -> Sides:
    """Confidences of a trained network: nearly all next to 1, and 7 % of the non-members wrong."""
    members, nonmembers = 1 - 10 ** -rng.gamma(4, 0.8, n), 1 - 10 ** -rng.gamma(4, 0.7, n)
    wrong = rng.random(n) < 0.07
    nonmembers[wrong] = rng.random(int(wrong.sum()))
    return members, nonmembers


def overlapping(rng: np.random.Generator, n: int = N) -> Sides:
    """Two broad, almost equal distributions."""
    return rng.beta(5, 2, n), rng.beta(5, 2.3, n)


def separated(rng: np.random.Generator, n: int = N) -> Sides:
    """Members high, non-members spread out."""
    return rng.beta(8, 1, n), rng.beta(1, 1, n)


CASES: dict[str, Callable[[np.random.Generator, int], Sides]] = {
    "saturated": saturated,
    "overlapping": overlapping,
    "separated": separated,
}


def loop(members: Scores, nonmembers: Scores) -> float:
    """The threshold attack as it is defined: every observed value is tried on every score."""
    best, at = -1, 0.0
    for value in np.unique(np.concatenate([members, nonmembers])):
        # whole numbers: as fractions, equally good thresholds would differ by rounding
        found = int((members >= value).sum()) * len(nonmembers) + int((nonmembers < value).sum()) * len(
            members
        )
        if found > best:
            best, at = found, float(value)
    return at


def sklearn_alone(members: Scores, nonmembers: Scores, targets: Scores) -> float:
    """The SVC attack without merging anything."""
    from sklearn.svm import SVC

    x = np.concatenate([np.sort(members), np.sort(nonmembers)])[:, None]
    machine = SVC(C=3, gamma="auto", kernel="rbf").fit(x, np.repeat([1, 0], [len(members), len(nonmembers)]))
    return 100.0 * int((machine.predict(targets[:, None]) == 0).sum()) / len(targets)


def seconds(repeats: int, work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """(median seconds, the last result) of `repeats` calls of `work(*given)`."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work(*given)
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def refit_svc(members: Scores, nonmembers: Scores) -> None:
    """Fit the SVC attack to DRAWS bootstraps of its shadows, which no table needs: its fit is each seed's."""
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        fitted_machine(*(side[rng.integers(len(side), size=len(side))] for side in (members, nonmembers)))


def measure_bootstraps(n: int, seeds: int, repeats: int) -> None:
    """Print the median and the range of the time that DRAWS refits take, with their answer, by case.

    seeds: how many models the scores are split over.
    """
    click.echo(f"{n:,} + {n:,} scores of {seeds} seeds, {DRAWS} bootstraps, {repeats} times\n")
    click.echo("| attack, scores | median time | from | to |\n|---|--:|--:|--:|")
    for name, case in CASES.items():
        members, nonmembers = case(np.random.default_rng(0), n)
        parts = [
            [(x, np.zeros(len(x), int)) for x in np.array_split(side, seeds)]
            for side in (members, nonmembers)
        ]
        given: tuple[Any, ...] = (*parts, parts[1], 1, False)
        for attack, work, arguments in (
            ("threshold", bootstrapped_error, given),
            ("SVC", refit_svc, (members, nonmembers)),
        ):
            times = [seconds(1, work, *arguments)[0] for _ in range(repeats if attack == "threshold" else 1)]
            middle = statistics.median(times)
            click.echo(f"| {attack}, {name} | {middle:.2f} s | {min(times):.2f} | {max(times):.2f} |")


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="Draws of each case.")
    parser.add_argument("--scores", type=int, default=N, help="Scores on each side.")
    parser.add_argument("--bootstraps", action="store_true", help="Time bootstraps and nothing else.")
    options = parser.parse_args()
    if options.bootstraps:
        return measure_bootstraps(options.scores, max(options.seeds, 2), repeats=9)
    seeds, n = options.seeds, options.scores
    rows: list[str] = []
    for name, case in CASES.items():
        drawn = [case(np.random.default_rng(seed), n) for seed in range(seeds)]
        ratios, fast, answers = [], [], []
        for members, nonmembers in drawn:
            quick, (threshold, _) = seconds(9, best_threshold, members, nonmembers)
            slow, expected = seconds(1, loop, members, nonmembers)
            ratios.append(slow / quick)
            fast.append(quick)
            answers.append(threshold == expected)
        same = "the same" if all(answers) else "ANOTHER ANSWER"
        rows.append(
            f"| threshold, {name} | {1e3 * statistics.median(fast):.1f} ms "
            f"| {statistics.median(ratios):.0f}× | {same} |"
        )
        ratios, fast, gaps = [], [], []
        for members, nonmembers in drawn:
            targets = np.concatenate([members, nonmembers])
            given = (members, nonmembers, targets)
            quick, got = seconds(3, share_of_nonmembers, *given)
            slow, expected = seconds(1, sklearn_alone, *given)
            ratios.append(slow / quick)
            fast.append(quick)
            gaps.append(abs(got - expected))
        rows.append(
            f"| SVC, {name} | {statistics.median(fast):.2f} s (at most {max(fast):.2f}) "
            f"| {statistics.median(ratios):.0f}× | within {max(gaps):.3f} points |"
        )
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("numpy", "scikit-learn"))
    click.echo(f"{n:,} + {n:,} scores, {seeds} draws of each case, medians; {platform.processor() or ''}")
    click.echo(f"Python {platform.python_version()}, {versions}\n")
    click.echo("| attack, scores | time | faster than the plain one | answer |\n|---|--:|--:|---|")
    click.echo("\n".join(rows))


if __name__ == "__main__":
    main()
