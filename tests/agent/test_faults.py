"""An API server that fails, and programs that get in the way: the kernel is right afterwards."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent_process import PATIENCE
from fakes.apiserver import ENDPOINT_SLICES, SERVICES
from nodes import Node

from .world import World, slice_of, world

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180 * PATIENCE)]


@pytest.fixture
def cluster(node: Node) -> Iterator[World]:
    with world(node) as made:
        yield made


@pytest.mark.parametrize("forgets", [False, True])
def test_a_server_that_is_gone_for_a_while(cluster: World, forgets: bool) -> None:
    lists = cluster.lists("endpointslices")
    before = cluster.contents()
    cluster.server.tell("leave", "")
    cluster.agent.eventually(
        lambda: cluster.agent.metric('kpx_watch_failures{resource="endpointslices"}') > 0,
        "the agent has noticed",
    )
    cluster.change(60)
    cluster.server.remove(SERVICES, "default", "service-5")
    assert cluster.contents() != before
    assert not cluster.programmed()(), "what happens meanwhile is not known"
    if forgets:
        cluster.server.tell("compact", ENDPOINT_SLICES)
        cluster.server.tell("compact", SERVICES)
    cluster.server.tell("return", "")
    cluster.assert_equal("what happened meanwhile is programmed")
    # Where the server still knows what happened, nothing is listed anew.
    assert (cluster.lists("endpointslices") > lists) is forgets


@pytest.mark.parametrize("cut", ["cut in line", "cut in chunk", "cut"])
def test_watches_that_are_cut_time_and_again(cluster: World, cut: str) -> None:
    lists = cluster.lists("endpointslices")
    for _ in range(8):
        cluster.change(10)
        assert cluster.server.inject(ENDPOINT_SLICES, cut)
        cluster.server.inject(SERVICES, cut)
        cluster.change(10)
        # Otherwise there would be no watch to cut.
        cluster.agent.eventually(cluster.programmed(), "the changes behind the cut are there")
    cluster.assert_equal("all is as desired")
    assert cluster.lists("endpointslices") == lists, "resumed, not listed anew"


def test_events_that_come_once_more(cluster: World) -> None:
    for versions in (5, 40, 400):
        cluster.change(60)
        assert cluster.server.inject(ENDPOINT_SLICES, "replay", code=versions)
        assert cluster.server.inject(SERVICES, "replay", code=versions)
        cluster.change(10)
        cluster.assert_equal(f"{versions} versions came twice")


def test_an_old_event_before_the_watch_is_cut(cluster: World) -> None:
    old = cluster.server.put(ENDPOINT_SLICES, slice_of(1, 150))
    cluster.server.put(ENDPOINT_SLICES, slice_of(1, 160))
    cluster.assert_equal("the newer is programmed")
    cluster.server.inject(
        ENDPOINT_SLICES, "raw", text=json.dumps({"type": "MODIFIED", "object": old}) + "\n"
    )
    assert cluster.server.inject(ENDPOINT_SLICES, "cut in line")
    cluster.assert_equal("the newer is programmed again")


def test_a_server_that_was_restored_from_a_backup(cluster: World) -> None:
    cluster.change(30)
    backup = cluster.contents()
    cluster.change(100)
    cluster.assert_equal("the changes are programmed")
    assert cluster.contents() != backup
    cluster.server.tell("leave", "")
    cluster.server.tell("restore", "", backup)
    cluster.server.tell("return", "")
    assert cluster.contents() == backup
    cluster.assert_equal("what was restored is programmed")
    cluster.change(30)
    cluster.assert_equal("what happens after that is programmed")


# A hundred commits a second. As fast as it can, which is thousands on an idle machine, it would
# leave no time to list a table between two of them, as a start has to.
MEDDLE = """
import itertools, nftables, time
nft = nftables.Nftables()
nft.cmd("add table ip foreign; add set ip foreign addresses { type ipv4_addr; }")
for number in itertools.count(1):
    for verb in ("add", "delete"):
        nft.cmd(f"{verb} element ip foreign addresses {{ 192.0.2.{number % 250} }}")
        time.sleep(0.01)
    if number % 20 == 0:
        print(number, flush=True)
"""


def test_another_program_that_changes_its_own_rules_all_the_time(cluster: World) -> None:
    with subprocess.Popen(
        [*cluster.node.enter, sys.executable, "-c", MEDDLE], stdout=subprocess.PIPE
    ) as meddler:
        assert meddler.stdout is not None
        try:
            for _ in range(4):
                assert meddler.stdout.readline(), "it gets in the way"
                cluster.change(20)
                cluster.agent.eventually(cluster.programmed(), "changes are programmed")
            # While it reads the kernel, too.
            cluster.agent.kill()
            cluster.change(20)
            assert meddler.stdout.readline()
            cluster.agent.start()
            cluster.agent.eventually(cluster.programmed(), "a start programs what changed")
            assert meddler.poll() is None
        finally:
            meddler.kill()
    cluster.assert_equal("all is as desired")
    assert "set addresses" in cluster.node.run("nft", "list", "table", "ip", "foreign").stdout
