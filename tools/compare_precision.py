"""One suite's results in two precisions side by side: the tables of docs/performance.md.

    mubench run --suite S --precision fp32 --out A
    mubench run --suite S --precision bf16 --out B
    python tools/compare_precision.py A B

Rows that only one of them has are left out; the noise floor is that of A.
"""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from mubench.reporting.summary import summarise

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("first", type=FOLDER)
@click.argument("second", type=FOLDER)
def main(first: Path, second: Path) -> None:
    """Print the Avg. Gap (SVC) and Avg. Gap of each row in results FIRST and SECOND."""
    tables = [pd.read_csv(folder / "table.csv", index_col="method") for folder in (first, second)]
    summary = summarise(pd.read_csv(first / "cells.csv"))
    bands = summary.bands
    rows = tables[0].index.intersection(tables[1].index, sort=False).drop(summary.reference)
    titles = {"avg_gap_svc": "Avg. Gap (SVC)", "avg_gap": "Avg. Gap"}
    click.echo("| method |" + "".join(f" {t}, first | second | difference |" for t in titles.values()))
    click.echo("| :-- |" + " --: |" * 3 * len(titles))
    for row in rows:
        pairs = [[table.loc[row, column] for table in tables] for column in titles]
        click.echo(f"| {row} |" + "".join(f" {a:.2f} | {b:.2f} | {b - a:+.2f} |" for a, b in pairs))
    for column, title in titles.items():
        a, b = (table.loc[rows, column] for table in tables)
        click.echo(f"\n{title}: rank correlation {a.corr(b, 'spearman'):.2f}")
        if column in bands:  # one seed alone has none
            far = ", ".join(rows[(b - a).abs() > bands[column]]) or "none"
            click.echo(f"Further apart than the noise floor's band of {bands[column]:.2f}: {far}")


if __name__ == "__main__":
    main()
