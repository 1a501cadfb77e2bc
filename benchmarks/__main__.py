"""The command line: `python -m benchmarks S1 S2 --json figures.json`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks import profiling, report
from benchmarks.figures import Figure, Options
from benchmarks.measures import MEASURES
from benchmarks.plot import plot

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[S1 S2 …]")
@click.option("--list", "only_list", is_flag=True, help="Say what can be measured.")
@click.option("--items", type=click.IntRange(1), help="Items instead of the measure's own number.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--quick", is_flag=True, help="A few items, one round: whether it works, not how fast it is.")
@click.option("--slow", is_flag=True, help="Measure what takes minutes too.")
@click.option("--json", "json_file", type=FILE, help="Write figures, versions and machine to a file.")
@click.option("--markdown", "markdown_file", type=FILE, help="Print such a file as a table for the docs.")
@click.option("--plot", "picture", type=FILE, help="Draw what runs of 1,000 to 1,000,000 items take, as PNG.")
@click.option("--profile", type=click.Choice(["cprofile", "py-spy"]), help="Say where the time of the measures goes.")
@click.option("--broker", help="URL of the broker, for measures that need no server of their own.")
@click.option("--store", help="URL of the store, likewise.")
def main(
    *,
    names: tuple[str, ...],
    only_list: bool,
    items: int | None,
    rounds: int,
    quick: bool,
    slow: bool,
    json_file: Path | None,
    markdown_file: Path | None,
    picture: Path | None,
    profile: str | None,
    broker: str | None,
    store: str | None,
) -> None:
    """Measure speed and scale beside Celery's own ways to fan out."""
    if markdown_file:
        click.echo(report.markdown(markdown_file))
        return
    if only_list:
        for name, measure in MEASURES.items():
            click.echo(measure.__doc__ or name)
        return
    unknown = sorted(set(names) - set(MEASURES))
    if unknown:
        raise click.UsageError(f"No measure {', '.join(unknown)}; there are {', '.join(MEASURES)}.")
    options = Options(items=items, rounds=rounds, quick=quick, slow=slow, broker=broker, store=store)
    if picture:
        plot(picture, options)
        return
    if profile == "py-spy":
        profiling.py_spy(names, options)
        return
    if profile == "cprofile":
        for name in names or ("S1",):
            profiling.cprofile(name, options)
        return
    figures: list[Figure] = []
    for name in names or MEASURES:
        click.echo(f"{name} …", err=True)
        figures += MEASURES[name](options)
    click.echo(report.table(figures))
    if json_file:
        report.write(json_file, figures)


if __name__ == "__main__":
    main()
