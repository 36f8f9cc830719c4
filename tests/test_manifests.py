import io
import json
from pathlib import Path

import pytest

from kpx import manifests
from kpx.errors import ManifestUnreadable


def contents(*paths: object) -> list[bytes]:
    return [frame.content for frame in manifests.read([str(path) for path in paths])]


def test_json_is_handed_on_byte_for_byte(tmp_path: Path) -> None:
    content = b'{ "kind":\t"List",\n "items": [ {"a": 1.0},\n {"a":2} ] }\n'
    (tmp_path / "a.json").write_bytes(content)
    assert contents(tmp_path / "a.json") == [content]


@pytest.mark.parametrize("name", ["a.yaml", "a", "a.json"])
def test_json_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    content = b'\n{\n"kind": "Service"}'
    (tmp_path / name).write_bytes(content)
    assert contents(tmp_path / name) == [content]


def test_flow_mappings_are_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{kind: Service}")
    assert contents(tmp_path / "a.yaml") == [b'{"kind": "Service"}']


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"}"}\n{"a":"{"}\n{"b":2}\n',
        '{\n  "a": "}"\n}\n{\n  "a": "{"\n}\r\n\n{"b": 2}',
    ],
)
def test_json_documents_in_a_row_are_taken_apart(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    frames = list(manifests.read([str(tmp_path / "a.json")]))
    assert [json.loads(frame.content) for frame in frames] == [{"a": "}"}, {"a": "{"}, {"b": 2}]
    assert frames[2].origin == f"{tmp_path / 'a.json'}: document 3"


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    (tmp_path / "b.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert contents(tmp_path) == [b'{"a": 1}', b'{"a": 1}']


def test_yaml_documents_become_json_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# comment\n---\na: yes\n---\n---\nb: '1'\n")
    frames = list(manifests.read([str(tmp_path / "a.yaml")]))
    assert [json.loads(frame.content) for frame in frames] == [{"a": True}, {"b": "1"}]
    assert frames[1].origin == f"{tmp_path / 'a.yaml'}: line 6"


def test_directories_are_read_in_order_and_not_below(tmp_path: Path) -> None:
    for name in ("b.yml", "a.json", "c.yaml", "d.txt", ".e.yaml"):
        (tmp_path / name).write_text(json.dumps({"name": name}))
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "sub.yaml" / "f.yaml").write_text("name: f")
    names = [json.loads(content)["name"] for content in contents(tmp_path)]
    assert names == [".e.yaml", "a.json", "b.yml", "c.yaml"]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"kind: Service\n")))
    [frame] = manifests.read(["-"])
    assert frame == manifests.Frame(b'{"kind": "Service"}', "standard input: line 1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.yaml", "", "no objects in `{path}`"),
        ("empty.json", " \n", "no objects in `{path}`"),
        ("comments.yaml", "# all gone\n---\n", "no objects in `{path}`"),
        ("list.yaml", "- a\n", "{path}: line 1: the document is not an object"),
        ("text.yaml", "a: 1\n---\nhello\n", "{path}: line 3: the document is not an object"),
        ("cut.yaml", "kind: 'Serv", "{path}: line 1, column 12: while scanning a quoted scalar"),
        ("twice.yaml", "a: 1\na: 2\n", "{path}: line 2, column 1: the key `a` is there twice"),
    ],
)
def test_errors_name_file_and_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ManifestUnreadable) as failure:
        contents(path)
    assert failure.value.message.startswith(message.format(path=path))


def test_missing_and_unreadable_paths_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ManifestUnreadable, match=r"the file `.*/none.yaml` does not exist"):
        contents(tmp_path / "none.yaml")
    with pytest.raises(ManifestUnreadable, match=r"no manifests in the directory"):
        contents(tmp_path)
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ManifestUnreadable, match=r"cannot read .*: Too many levels"):
        contents(tmp_path / "loop.yaml")
