import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import Configuration

from fakes.apiserver import ENDPOINT_SLICES, NODES, SERVICE_CIDRS, SERVICES, ApiServer, Refusal
from kpx.errors import ClusterUnreadable
from kpx.kube import Client, ListExpired, list_pages, resources
from kpx.kube.lists import PAGE_SIZE
from objects import endpoint_slice, node, service


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def read(server: ApiServer, name: str) -> list[dict[str, Any]]:
    """Reads a list as the node `node` does, and returns its pages."""
    [resource] = [resource for resource in resources("node") if resource.name == name]
    client = Client(Configuration(host=server.url))
    return [json.loads(page) for page in list_pages(client, resource)]


def names(pages: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for page in pages for item in page["items"]]


def test_everything_is_selected_as_kube_proxy_selects_it(server: ApiServer) -> None:
    other_proxy = service("other-proxy")
    other_proxy["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": ""}
    headless = service("headless", clusterIP="None")
    server.preload(SERVICES, [service("a"), other_proxy, headless])
    headless_slice = endpoint_slice("b")
    headless_slice["metadata"]["labels"]["service.kubernetes.io/headless"] = ""
    server.preload(ENDPOINT_SLICES, [endpoint_slice("a"), headless_slice])
    server.preload(NODES, [node("other"), node("node")])
    assert names(read(server, "services")) == ["a"]
    assert names(read(server, "endpointslices")) == ["a-1"]
    assert names(read(server, "nodes")) == ["node"]


def test_long_lists_come_in_pages(server: ApiServer) -> None:
    expected = [f"s{number}" for number in range(2 * PAGE_SIZE + 1)]
    server.preload(SERVICES, [service(name) for name in expected])
    pages = read(server, "services")
    assert [len(page["items"]) for page in pages] == [PAGE_SIZE, PAGE_SIZE, 1]
    assert names(pages) == expected
    asked = server.asked(SERVICES)
    tokens = [query.get("continue", "").rpartition(".")[2] for query in asked]
    assert tokens == ["", "500", "1000"]
    # The selectors must be repeated, or the token stands for another list.
    assert all(query["labelSelector"] == asked[0]["labelSelector"] for query in asked)


def test_a_page_is_handed_on_as_it_came(server: ApiServer) -> None:
    server.preload(SERVICES, [service("a")])
    client = Client(Configuration(host=server.url))
    [page] = list_pages(client, resources("node")[1])
    assert page.startswith(b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion"')


def test_the_token_is_found_behind_the_items_too(server: ApiServer) -> None:
    server.items_first = True
    expected = [f"s{number}" for number in range(PAGE_SIZE + 1)]
    server.preload(SERVICES, [service(name) for name in expected])
    assert names(read(server, "services")) == expected


@pytest.mark.parametrize("expirations", [1, 2, 3])
def test_an_expired_list_starts_over(server: ApiServer, expirations: int) -> None:
    expected = [f"s{number}" for number in range(PAGE_SIZE + 1)]
    server.preload(SERVICES, [service(name) for name in expected])
    server.expirations = expirations
    assert names(read(server, "services")) == expected
    assert ("limit" in server.asked(SERVICES)[-1]) == (expirations < 3)


def test_a_list_that_expires_even_in_one_piece_is_an_error(server: ApiServer) -> None:
    server.refusals[SERVICES].extend([Refusal(410)] * 4)
    with pytest.raises(ListExpired, match=r"cannot list services: the list has expired \(410\)"):
        read(server, "services")


def test_service_cidrs_need_not_be_served(server: ApiServer) -> None:
    server.served.remove(SERVICE_CIDRS)
    assert read(server, "servicecidrs") == []


def test_services_must_be_served(server: ApiServer) -> None:
    server.served.remove(SERVICES)
    with pytest.raises(ClusterUnreadable, match="cannot list services: the API server says 404"):
        read(server, "services")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        b'{"metadata": {"continue": 7}, "items": []}',
        b'{"metadata": [], "items": []}',
        b'{"metadata": {"continue": "\xff"}, "items": []}',
        b'{"items": []}',
        b'{"kind": "Status", "metadata": {}, "status": "Success"}',
        b"[]",
        b"",
    ],
)
def test_an_answer_that_is_no_list_is_an_error(server: ApiServer, body: bytes) -> None:
    server.refusals[SERVICES].append(Refusal(200, body=body))
    with pytest.raises(ClusterUnreadable, match="cannot list services: the API server's answer"):
        read(server, "services")


def test_a_server_that_repeats_itself_is_an_error(server: ApiServer) -> None:
    page = b'{"metadata": {"continue": "x"}, "items": []}'
    server.refusals[SERVICES].extend([Refusal(200, body=page)] * 2)
    with pytest.raises(ClusterUnreadable, match="the same page came twice"):
        read(server, "services")


def test_a_node_name_cannot_break_out_of_its_selector(server: ApiServer) -> None:
    name = "a&limit=1#+ %2c"
    [nodes] = [resource for resource in resources(name) if resource.name == "nodes"]
    list_pages(Client(Configuration(host=server.url)), nodes)
    assert server.asked(NODES) == [
        {"limit": str(PAGE_SIZE), "fieldSelector": f"metadata.name={name}"}
    ]
