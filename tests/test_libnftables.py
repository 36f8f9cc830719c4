import sys
from collections.abc import Iterator

import pytest

from kpx import libnftables
from kpx.errors import VerifyFailed

DUMP = """\
table ip kpx {
\tmap service-ips {
\t\ttype ipv4_addr . inet_proto . inet_service : verdict
\t\telements = { 10.96.0.1 . tcp . 443 comment "default/kubernetes:https" : goto lb-1,
\t\t\t     10.96.0.2 . tcp . 80 : drop }
\t}
\tset cluster-ips {
\t\ttype ipv4_addr
\t}
}
"""


def entry(table: str, chain: str) -> dict[str, object]:
    known = {
        "val": {"concat": ["10.96.0.1", "tcp", 443]},
        "comment": "default/kubernetes:https",
    }
    return {
        "map": {
            "family": "ip",
            "name": "service-ips",
            "table": table,
            "elem": [
                [{"elem": known}, {"goto": {"target": chain}}],
                [{"concat": ["10.96.0.2", "tcp", 80]}, {"drop": None}],
            ],
        }
    }


def ruleset(chain: str = "lb-1") -> dict[str, object]:
    empty = {"set": {"family": "ip", "name": "cluster-ips", "table": "kpx"}}
    return {"nftables": [entry("other", "elsewhere"), entry("kpx", chain), empty]}


def test_what_both_read_alike_has_no_differences() -> None:
    found = libnftables.verify(lambda: DUMP, ruleset)

    assert found == libnftables.Verification(elements=2, differences=())


def test_an_element_that_differs_is_shown_as_each_reads_it() -> None:
    found = libnftables.verify(lambda: DUMP, lambda: ruleset("lb-2"))

    key = '10.96.0.1 . tcp . 443 comment "default/kubernetes:https"'
    assert found.differences == (
        f"- ip service-ips {{ {key} : goto lb-1 }}",
        f"+ ip service-ips {{ {key} : goto lb-2 }}",
    )


def test_a_set_that_only_one_reads_is_a_difference() -> None:
    found = libnftables.verify(lambda: DUMP, lambda: {"nftables": [entry("kpx", "lb-1")]})

    assert found.differences == ("- ip cluster-ips",)


def test_a_change_between_the_readings_is_no_difference() -> None:
    dumps = iter([DUMP.replace("lb-1", "lb-3"), DUMP, DUMP])

    assert libnftables.verify(lambda: next(dumps), ruleset).differences == ()


def test_tables_that_never_rest_cannot_be_verified() -> None:
    def dumps() -> Iterator[str]:
        for chain in range(100):
            yield DUMP.replace("lb-1", f"lb-{chain}")

    changing = dumps()

    with pytest.raises(VerifyFailed, match="changed during each of 5 readings"):
        libnftables.verify(lambda: next(changing), ruleset)


def test_a_missing_binding_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nftables", None)

    with pytest.raises(VerifyFailed) as failure:
        libnftables.listing()

    assert failure.value.hint is not None
    assert "kpx[nftables]" in failure.value.hint
