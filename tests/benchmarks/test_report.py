"""A report says what a stored result holds."""

import copy
import re
from pathlib import Path

import pytest
from bench import document, report, tables
from bench.__main__ import app
from bench.results import FORMAT, Measurement, Results, exponent
from bench.targets import IPVS_TARGETS, TARGETS, Target, verdicts
from typer.testing import CliRunner

# Matplotlib looks at every font of the machine once.
pytestmark = pytest.mark.timeout(300)

STORED = Path(__file__).with_name("small.json")
"""A run of every peer at 100 x 10 and, of some, 1,000 x 10."""


@pytest.fixture
def results() -> Results:
    return Results.read(STORED)


def test_a_report_is_one_page_with_plots_beside_it(results: Results, tmp_path: Path) -> None:
    page = report.write([results], tmp_path).read_text()

    assert page.count("<svg") == len(list(tmp_path.glob("*.svg"))) >= 4
    assert len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.glob("*.svg")))
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    endpoint = results.get("core", "endpoint", 1_000)
    assert endpoint is not None
    assert tables.seconds(endpoint.p50) in page
    assert "Linux 6.18.44," in page
    assert "nft 1.0.6," in page


def test_the_tables_tell_every_peer_and_every_case(results: Results) -> None:
    text = tables.everything(results)

    for peer in {one.peer for one in results.measurements}:
        assert f"| {peer} | {tables.PEER_TITLES[peer]} |" in text
    for title in ("Cold load", "Restart, nothing changed", "One endpoint changes"):
        assert f"### {title}\n" in text
    assert re.search(r"^\| core \| one endpoint changes \| 100 to 1,000 \| ", text, re.MULTILINE)
    assert re.search(r"^\| core \| 100 x 10 \| [\d,]+ \| [\d.]+ µs ", text, re.MULTILINE)


def test_what_did_not_finish_is_a_result(results: Results) -> None:
    results.measurements += [
        Measurement("nft-upstream", "cold", 10_000, 10, outcome="did not finish", reason="60 s"),
        Measurement("nft-upstream", "cold", 100_000, 10, outcome="not tried"),
    ]

    row = next(
        line
        for line in tables.everything(results).splitlines()
        if line.startswith("| nft-upstream") and "did not finish" in line
    )

    assert row.endswith("| did not finish | did not finish |")


def test_a_peer_that_did_not_finish_counts_with_the_bound() -> None:
    target = next(one for one in TARGETS if one.figure.peer == "nft-upstream")
    core = Measurement("core", "cold", 10_000, 10, seconds=[0.3, 0.25])
    upstream = Measurement("nft-upstream", "cold", 10_000, 10, outcome="did not finish")

    assert target.ratio(Results("made-up", 60, [core, upstream])) == 240
    assert target.ratio(Results("made-up", 60, [core])) is None


def test_no_target_is_met_by_what_was_not_measured() -> None:
    assert not any(verdict.met for verdict in verdicts([Results("made-up", 60, [])]))


def test_runs_are_held_against_the_targets_of_their_plans(results: Results) -> None:
    ipvs = [
        Measurement("ipvs", "cold", 5_000, 10, seconds=[4.0]),
        Measurement("ipvsadm", "cold", 5_000, 10, outcome="did not finish"),
    ]
    guest = Results("quick-ipvs", 30, ipvs)

    found = verdicts([results, guest])

    assert [one.target for one in found] == [*TARGETS, *IPVS_TARGETS]
    assert {one.target.figure.peer: one.ratio for one in found}["ipvsadm"] == 7.5
    assert "| 7.50 | at least 3 | met |" in tables.targets([results, guest])


@pytest.mark.parametrize("target", TARGETS + IPVS_TARGETS, ids=lambda one: one.what)
def test_a_target_holds_at_its_limit_and_not_beyond(target: Target) -> None:
    limit = target.at_most or target.at_least or 0
    worse = limit * (1.01 if target.at_most else 0.99)

    assert target.met(limit)
    assert not target.met(worse)


def test_growth_is_the_exponent_of_the_fit() -> None:
    sizes = (100, 1_000, 10_000)

    assert exponent([(n, 3e-6 * n**2) for n in sizes]) == pytest.approx(2)
    assert exponent([(n, 7.0) for n in sizes]) == pytest.approx(0, abs=1e-9)
    assert exponent([(100, 1.0)]) is None


def test_percentiles_are_of_what_was_measured() -> None:
    one = Measurement("core", "endpoint", 1, 1, seconds=[float(n) for n in range(200, 0, -1)])

    assert (one.p50, one.p99) == (100.5, 198.0)


@pytest.mark.parametrize(("seconds", "code"), [(10.0, 0), (10.1, 1)])
def test_the_command_fails_where_a_target_is_missed(
    tmp_path: Path, seconds: float, code: int
) -> None:
    path = tmp_path / "results.json"
    measured = [
        Measurement("ipvs", "cold", 5_000, 10, seconds=[seconds]),
        Measurement("ipvsadm", "cold", 5_000, 10, outcome="did not finish"),
        *(Measurement("ipvs", "endpoint", n, 10, seconds=[1e-3]) for n in (100, 5_000)),
    ]
    Results("quick-ipvs", 30, measured).write(path)

    shown = CliRunner().invoke(app, ["show", str(path)])

    assert shown.exit_code == code
    assert shown.stdout.count("**not met**") == code


def test_results_are_read_as_they_were_written(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "some" / "results.json"
    results.write(path)

    assert Results.read(path) == results
    path.write_text(path.read_text().replace(FORMAT, "another"))
    with pytest.raises(ValueError, match="has no results in the format"):
        Results.read(path)


def test_runs_of_several_machines_are_told_apart(results: Results, tmp_path: Path) -> None:
    elsewhere = copy.deepcopy(results)
    elsewhere.plan = "full-ipvs"
    elsewhere.machine["kernel"] = "6.1.0-18-amd64"
    elsewhere.measurements = [Measurement("ipvs", "cold", 5_000, 10, seconds=[0.125])]

    text = report.write([results, elsewhere], tmp_path).with_name("tables.md").read_text()

    host, guest = text.split("## IPVS, on a kernel that has it")
    assert "Linux 6.18.44," in host
    assert "Linux 6.1.0," in guest
    assert "| ipvs | 125 ms |" in guest
    assert "ipvs" not in host
    # Of a case that was not measured there is no empty table.
    assert "### Restart" not in guest


def test_documents_take_in_what_is_between_their_marks(results: Results) -> None:
    text = "before\n<!-- bench:summary -->\nstale\n<!-- /bench -->\nafter\n"

    taken = document.sections(results, results, [["`kpx version`", "22 ms", "100 ms"]])
    once = document.written(text, taken)

    assert once.startswith("before\n<!-- bench:summary -->\n| 10,000 Services x 10")
    assert once.endswith("<!-- /bench -->\nafter\n")
    assert "stale" not in once
    assert document.written(once, taken) == once
    assert "| `kpx version` | 22 ms | 100 ms |" in taken["features"]


def test_a_section_that_was_not_measured_stays(results: Results) -> None:
    text = "<!-- bench:features -->\nas before\n<!-- /bench -->\n"

    assert document.written(text, document.sections(results, results, None)) == text


@pytest.mark.parametrize("name", document.DOCUMENTS)
def test_the_documents_have_marks(results: Results, name: str) -> None:
    taken = {name: f"new {name}" for name in document.sections(results, results, [])}

    text = document.written((document.ROOT / name).read_text(), taken)

    wanted = {
        "README.md": ["summary", "summary-ipvs"],
        "bench/README.md": ["results", "results-ipvs", "features"],
    }
    assert [part for part in taken if f"new {part}\n" in text] == wanted[name]
