"""Events of the agent on objects that it cannot program, at the fake API server."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration

from fakes.apiserver import EVENTS, NODES, SERVICES, ApiServer, Refusal, write_kubeconfig
from kpx.agent import events
from kpx.agent.omission import Omission
from kpx.kube import Client, EventRecorder
from nodes import Node
from objects import node as node_object
from objects import service

WAIT_SECONDS = 20


def eventually(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)


@contextmanager
def recording(server: ApiServer, instance: str = "node") -> Iterator[EventRecorder]:
    recorder = EventRecorder(Client(Configuration(host=server.url)), "kpx", instance)
    stop = threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)


def refused(name: str, reason: str = "no room") -> Omission:
    return Omission(True, "Service", name, reason, True)


def test_a_service_the_kernel_refuses_gets_an_event() -> None:
    with ApiServer() as server, recording(server) as recorder:
        server.preload(SERVICES, [service("web")])
        uid = server.get(SERVICES)[0]["metadata"]["uid"]
        events.record(recorder, [refused("default/web")])
        eventually(lambda: server.get(EVENTS), "the event is written")
        (event,) = server.get(EVENTS)
    assert uid
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": "default",
        "name": "web",
        "uid": uid,
    }
    assert (event["type"], event["reason"], event["note"]) == (
        "Warning",
        "RefusedByKernel",
        "no room",
    )
    assert (event["reportingController"], event["reportingInstance"]) == ("kpx", "node")


def test_parts_of_objects_and_what_has_no_name_get_none() -> None:
    with ApiServer() as server, recording(server) as recorder:
        events.record(
            recorder,
            [
                Omission(False, "Service", "default/part", "a port", False),
                Omission(False, "Service", "", "no name", True),
                Omission(False, "", "default/what", "no kind", True),
                Omission(False, "EndpointSlice", "default/last", "no type", True),
            ],
        )
        eventually(lambda: server.get(EVENTS), "the last is written")
        (event,) = server.get(EVENTS)
    assert event["regarding"]["apiVersion"] == "discovery.k8s.io/v1"
    assert (event["regarding"]["name"], event["reason"]) == ("last", "Rejected")
    # The object is gone meanwhile: the Event is written all the same.
    assert "uid" not in event["regarding"]


def test_an_answer_that_makes_no_sense_loses_one_event_alone() -> None:
    with ApiServer() as server, recording(server) as recorder:
        server.refusals[EVENTS].append(Refusal(200, body=b"[]", verb="create"))
        events.record(recorder, [refused("default/one"), refused("default/two")])
        eventually(lambda: server.get(EVENTS), "the second is written")
        (event,) = server.get(EVENTS)
    assert event["regarding"]["name"] == "two"
    assert recorder.dropped == 1


def test_what_is_too_long_is_cut_at_what_the_api_server_takes() -> None:
    with ApiServer() as server, recording(server, "n" * 253) as recorder:
        events.record(recorder, [refused("default/web", "\u20ac" * 1000)])
        eventually(lambda: server.get(EVENTS), "the event is written")
        (event,) = server.get(EVENTS)
    assert event["note"] == "\u20ac" * 341
    assert event["reportingInstance"] == "n" * 128


@pytest.mark.netns
def test_the_agent_writes_an_event_on_what_it_rejects(node: Node) -> None:
    wrong = service("wrong", clusterIP="10.96.0.67", clusterIPs=["10.96.0.67"])
    wrong["spec"]["type"] = 7
    with subprocess.Popen(
        [*node.enter, sys.executable, "-m", "fakes.apiserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def say(line: Any) -> str:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(line) + "\n")
            server.stdin.flush()
            return server.stdout.readline()

        objects = {SERVICES: [service("web"), wrong], NODES: [node_object("node")]}
        kubeconfig = write_kubeconfig(say({"objects": objects}).strip(), node.directory)
        with subprocess.Popen(
            [*node.enter, sys.executable, "-m", "kpx", "run"],
            stderr=subprocess.DEVNULL,
            env={**os.environ, "KUBECONFIG": kubeconfig, "NODE_NAME": "node"},
        ) as agent:
            try:
                eventually(lambda: json.loads(say(["get", EVENTS])), "the event is written")
                (event,) = json.loads(say(["get", EVENTS]))
                assert agent.poll() is None
            finally:
                agent.kill()
                server.kill()
    assert (event["regarding"]["name"], event["reason"]) == ("wrong", "Rejected")
    assert "type" in event["note"]
