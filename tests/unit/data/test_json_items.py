"""A large object's members, one at a time, wherever the blocks that are read end."""

import json

import pytest

from retake.data import json_items
from retake.data.json_items import read_json_items

VALUE = {
    "a": {"start": [0.5, 12.25], "text": ['he said "no" {', "ü 漢 \\ ]"]},
    "b c": [1, -20.5e3, None, True],
    "": "}",
    "number": 123456,
    "last": {},
}


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, 10**6])
@pytest.mark.parametrize("indent", [None, 2])
def test_members_are_those_of_the_whole_file(tmp_path, monkeypatch, block, indent):
    monkeypatch.setattr(json_items, "BLOCK", block)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(VALUE, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    assert list(read_json_items(path)) == list(VALUE.items())


@pytest.mark.parametrize("text", ["{}", " { } \n", "\ufeff{}"])
def test_an_empty_object_has_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert list(read_json_items(tmp_path / "x.json")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at its start: the file ends; expected one JSON object"),
        ("[1]", r"at its start: '\[' where \{ was expected"),
        ('{"a": 1', "after 'a': the file ends"),
        ('{"a": 1, "b": [1, }', "after 'a': not JSON"),
        ('{"a": 1 "b": 2}', "after 'a': '\"' where , or } was expected"),
        ('{"a": 1} {', "after 'a': more after its end, '{'"),
        ("{1: 2}", "at its start: a key 1"),
        ("version https://git-lfs.github.com/spec/v1", "at its start: 'v' where"),
    ],
)
def test_what_is_no_object_is_named_by_the_key_before(tmp_path, text, said):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said) as error:
        list(read_json_items(path))
    assert str(error.value).startswith(str(path))


def test_bytes_that_are_no_utf8_are_an_error(tmp_path):
    (tmp_path / "x.json").write_bytes(b'{"a": 1, "\xff": 2}')
    with pytest.raises(ValueError, match="not UTF-8"):
        list(read_json_items(tmp_path / "x.json"))


def test_only_one_block_and_one_member_are_held(tmp_path, monkeypatch):
    monkeypatch.setattr(json_items, "BLOCK", 100)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({f"key{n}": "v" * 40 for n in range(1000)}))
    held = []
    more = json_items._Reader.more

    def watched(self):
        found = more(self)
        held.append(len(self.text))
        return found

    monkeypatch.setattr(json_items._Reader, "more", watched)
    assert len(list(read_json_items(path))) == 1000
    assert max(held) < 300
