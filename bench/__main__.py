"""`python -m bench`: measure, report, compare."""

from pathlib import Path
from typing import Annotated

import typer

from . import compare as comparison
from . import tables
from .plans import PLANS
from .results import Results
from .suite import Suite, to_stderr
from .targets import verdicts

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    plan: Annotated[str, typer.Argument(help=f"One of {', '.join(PLANS)}.")],
    output: Annotated[Path, typer.Option(help="The JSON file to write.")],
    targets: Annotated[bool, typer.Option(help="Fail where a target is missed.")] = True,
) -> None:
    """Measure, print the table, and keep what was measured. Needs root."""
    if plan not in PLANS:
        raise typer.BadParameter(f"`{plan}` is none of {', '.join(PLANS)}", param_hint="plan")
    results = Suite(PLANS[plan](), to_stderr).run()
    results.write(output)
    to_stderr(f"took {results.took_seconds:.0f} s; the results are in `{output}`")
    _show(results, targets)


@app.command()
def show(
    results: Annotated[Path, typer.Argument(help="The JSON file of a run.")],
    targets: Annotated[bool, typer.Option(help="Fail where a target is missed.")] = True,
) -> None:
    """Print the table of a run."""
    _show(Results.read(results), targets)


def _show(results: Results, targets: bool) -> None:
    print(tables.summary(results))
    missed = [verdict for verdict in verdicts(results) if not verdict.met] if targets else []
    if targets:
        print(f"\n{tables.targets(results)}")
    for verdict in missed:
        to_stderr(f"error: not met: {verdict.target.what}: {verdict.target.limit}")
    raise typer.Exit(1 if missed else 0)


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="JSON files of runs.")],
    output: Annotated[Path, typer.Option(help="The directory to write.")],
) -> None:
    """Write an HTML page, plots of the first run, and Markdown tables."""
    # Drawing needs a library that measuring does not.
    from . import report as reporting

    print(reporting.write([Results.read(path) for path in results], output))


@app.command()
def document(
    results: Annotated[Path, typer.Argument(help="The JSON file of a full run.")],
    features: Annotated[Path, typer.Option(help="The figures that `pytest bench` kept.")],
    ipvs: Annotated[
        Path | None, typer.Option(help="The JSON file of a run of the plan `ipvs`.")
    ] = None,
) -> None:
    """Write the tables of the READMEs."""
    from . import document as documents

    documents.main(Results.read(results), Results.read(ipvs) if ipvs else None, features)


@app.command()
def compare(
    base: Annotated[list[Path], typer.Option(help="JSON files of the base.")],
    head: Annotated[list[Path], typer.Option(help="JSON files of the head.")],
    output: Annotated[Path | None, typer.Option(help="A Markdown file for the table.")] = None,
) -> None:
    """Hold one version of kpx against another; exit with 1 where it is worse than its bound."""
    raise typer.Exit(comparison.main(base, head, output))


if __name__ == "__main__":
    app()
