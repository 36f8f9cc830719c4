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
) -> None:
    """Measure, and keep what was measured. Needs root, and a plan of IPVS a kernel that has it."""
    if plan not in PLANS:
        raise typer.BadParameter(f"`{plan}` is none of {', '.join(PLANS)}", param_hint="plan")
    results = Suite(PLANS[plan](), to_stderr).run()
    results.write(output)
    to_stderr(f"took {results.took_seconds:.0f} s; the results are in `{output}`")


@app.command()
def show(
    results: Annotated[list[Path], typer.Argument(help="JSON files of runs.")],
) -> None:
    """Print the tables of runs, and one of all targets; exit with 1 where a target is missed."""
    runs = [Results.read(path) for path in results]
    print("\n\n".join((*map(tables.summary, runs), tables.targets(runs))))
    missed = [verdict for verdict in verdicts(runs) if not verdict.met]
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
    results: Annotated[Path, typer.Argument(help="The JSON file of a run.")],
    ipvs: Annotated[Path, typer.Argument(help="That of a run of IPVS.")],
    features: Annotated[
        Path | None,
        typer.Option(help="The figures that `pytest bench` kept; their table stays without."),
    ] = None,
) -> None:
    """Write the tables of the READMEs."""
    from . import document as documents

    documents.main(Results.read(results), Results.read(ipvs), features)


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
