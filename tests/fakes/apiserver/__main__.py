"""The API server as a process of its own; see the package."""

import json
import sys
from typing import Any

from fakes.apiserver import ApiServer, Fault, Refusal


def main() -> None:
    script = json.loads(sys.stdin.readline())
    with ApiServer(
        script.get("host", "127.0.0.1"),
        script.get("port", 0),
        streaming_lists=script.get("streaming_lists", True),
    ) as server:
        for path, objects in script.get("objects", {}).items():
            server.preload(path, objects)
        for path, refusals in script.get("refusals", {}).items():
            server.refusals[path].extend(Refusal(**refusal) for refusal in refusals)
        print(server.url, flush=True)
        for line in sys.stdin:
            command, path, *arguments = json.loads(line)
            print(json.dumps(obey(server, command, path, arguments)), flush=True)


def obey(server: ApiServer, command: str, path: str, arguments: list[Any]) -> Any:
    """Carries a command out, and returns its answer."""
    match command:
        case "put":
            return server.put(path, *arguments)
        case "remove":
            return server.remove(path, *arguments)
        case "compact":
            return server.compact(path)
        case "preload":
            return server.preload(path, *arguments)
        case "emit":
            return server.emit(path, *arguments)
        case "get":
            return server.get(path)
        case "inject":
            fault = arguments[0]
            # A byte is a character, so that text need not be UTF-8.
            return server.inject(
                path, Fault(**{**fault, "text": fault.get("text", "").encode("latin-1")})
            )
        case "leave":
            return server.leave()
        case "return":
            return server.come_back()
        case "restore":
            return server.store.restore(*arguments)
        case "refuse":
            return server.refusals[path].append(Refusal(**arguments[0]))
        case _:
            raise ValueError(f"`{command}` is no command")


if __name__ == "__main__":
    main()
