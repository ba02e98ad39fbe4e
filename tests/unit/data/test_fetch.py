"""One file over HTTP, from a server that misbehaves."""

import hashlib
import json
from pathlib import Path

import pytest

from retake.data.fetch import ATTEMPTS, DownloadError, fetch, mirrored
from retake.schema.card import File
from tests.fixtures.loopback import Served, serve

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()
TAG = '"one"'


@pytest.fixture
def server():
    with serve() as served:
        yield served


def source(server: Served, path: str = "/a.bin", **facts: object) -> File:
    return File(url=server.url + path, file="a.bin", **facts)


def get(sources: File | list[File], target: Path, **settings: object) -> Path:
    return fetch(sources if isinstance(sources, list) else [sources], target, pause_s=0.0, **settings)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_leaves_nothing_else(server, tmp_path):
    server.add("/a.bin", BODY)
    get(source(server, sha256=SHA256, size=len(BODY)), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert left(tmp_path) == ["a.bin"]


def test_a_body_that_stays_short_is_an_error_and_no_file(server, tmp_path):
    server.add("/a.bin", BODY, cuts=[100], ranges=False, etag=TAG)
    with pytest.raises(DownloadError, match=r"ended after 100 of 10,240 bytes \(5 attempts\)"):
        get(source(server), tmp_path / "a.bin")
    assert "a.bin" not in left(tmp_path)
    assert len(server.requests) == ATTEMPTS


def test_a_chunked_or_unlabelled_short_body_is_told_by_the_cards_size(server, tmp_path):
    server.add("/a.bin", BODY, cuts=[100], length=False, ranges=False)
    with pytest.raises(DownloadError, match="ended after 100 of 10,240 bytes"):
        get(source(server, size=len(BODY)), tmp_path / "a.bin")
    assert "a.bin" not in left(tmp_path)


def test_a_cut_connection_is_resumed_where_it_broke(server, tmp_path):
    server.add("/a.bin", BODY, cuts=[4000, 3000, None], etag=TAG)
    get(source(server, sha256=SHA256), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    ranges = [headers.get("Range") for _, headers in server.requests]
    assert ranges == [None, "bytes=4000-", "bytes=7000-"]
    assert server.requests[1][1]["If-Range"] == TAG


def test_a_killed_download_is_resumed_by_the_next_run(server, tmp_path):
    reply = server.add("/a.bin", BODY, cuts=[4000], ranges=False, etag=TAG)
    with pytest.raises(DownloadError):
        get(source(server), tmp_path / "a.bin")
    reply.cuts, reply.ranges = [None], True
    server.requests.clear()
    get(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.requests[0][1]["Range"] == "bytes=4000-"


def test_a_part_that_was_whole_already_is_only_checked_and_renamed(server, tmp_path):
    server.add("/a.bin", BODY, etag=TAG)
    (tmp_path / "a.bin.part").write_bytes(BODY)
    note = {"url": server.url + "/a.bin", "validator": TAG}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(note))
    get(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert left(tmp_path) == ["a.bin"]


def test_a_server_that_ignores_range_is_read_from_the_start(server, tmp_path):
    server.add("/a.bin", BODY, cuts=[4000, None], ranges=False, etag=TAG)
    get(source(server, sha256=SHA256), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.requests[1][1]["Range"] == "bytes=4000-"


def test_a_file_that_changed_on_the_server_is_not_mixed_with_its_old_half(server, tmp_path):
    reply = server.add("/a.bin", b"old" * 3000, cuts=[4000], ranges=False, etag='"old"')
    with pytest.raises(DownloadError):
        get(source(server), tmp_path / "a.bin")
    reply.body, reply.etag, reply.cuts, reply.ranges = BODY, TAG, [None], True
    get(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize(
    "note",
    [{"url": "elsewhere", "validator": TAG}, {"url": "here", "validator": None}],
    ids=["address", "no tag"],
)
def test_a_part_that_may_be_of_another_file_is_not_resumed(server, tmp_path, note):
    server.add("/a.bin", BODY, etag=TAG)
    (tmp_path / "a.bin.part").write_bytes(b"x" * 500)
    note["url"] = note["url"].replace("here", server.url + "/a.bin")
    (tmp_path / "a.bin.part.json").write_text(json.dumps(note))
    get(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert "Range" not in server.requests[0][1]


def test_a_resumed_file_with_a_wrong_digest_is_fetched_once_more_from_the_start(server, tmp_path):
    server.add("/a.bin", BODY, etag=TAG)
    (tmp_path / "a.bin.part").write_bytes(b"x" * 500)
    note = {"url": server.url + "/a.bin", "validator": TAG}
    (tmp_path / "a.bin.part.json").write_text(json.dumps(note))
    get(source(server, sha256=SHA256), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert [headers.get("Range") for _, headers in server.requests] == ["bytes=500-", None]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"sha256": "0" * 64}, f"sha256 is {SHA256}, the card says 0000"),
        ({"md5": "0" * 32}, f"md5 is {hashlib.md5(BODY).hexdigest()}, the card says 0000"),
        ({"size": 5}, "has 10,240 bytes, the card says 5"),
    ],
    ids=["sha256", "md5", "size"],
)
def test_a_file_that_the_card_does_not_describe_is_refused(server, tmp_path, facts, said):
    server.add("/a.bin", BODY)
    with pytest.raises(DownloadError, match=said):
        get(source(server, **facts), tmp_path / "a.bin")
    assert "a.bin" not in left(tmp_path)


@pytest.mark.parametrize(("status", "said"), [(404, "404 Not Found"), (403, "403 Forbidden .*login")])
def test_a_refusal_is_said_once_and_not_tried_again(server, tmp_path, status, said):
    server.add("/a.bin", BODY, statuses=[status])
    with pytest.raises(DownloadError, match=said):
        get(source(server), tmp_path / "a.bin")
    assert len(server.requests) == 1
    assert left(tmp_path) == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.add("/a.bin", BODY, statuses=[503, 429, 200])
    get(source(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_server_that_stalls_is_given_up(server, tmp_path):
    server.add("/a.bin", BODY, stall_s=0.3)
    with pytest.raises(DownloadError, match="timed out"):
        get(source(server), tmp_path / "a.bin", timeout_s=0.03)
    assert "a.bin" not in left(tmp_path)


def test_a_server_that_is_not_there_is_named(tmp_path):
    with serve() as gone:
        pass
    with pytest.raises(DownloadError, match=f"{gone.url}/a.bin: no connection"):
        get(source(gone), tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"<!-- a notice --><html>please log in</html>"),
        ("application/octet-stream", b"\n<!DOCTYPE HTML><html>please log in</html>"),
    ],
    ids=["by its header", "by its first bytes"],
)
def test_a_page_in_place_of_the_file_is_refused(server, tmp_path, kind, body):
    server.add("/a.bin", body, kind=kind)
    with pytest.raises(DownloadError, match="HTML page"):
        get(source(server), tmp_path / "a.bin")
    assert "a.bin" not in left(tmp_path)


def test_a_pointer_of_git_lfs_is_not_taken_for_the_file(server, tmp_path):
    server.add("/a.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    with pytest.raises(DownloadError, match="Git-LFS pointer"):
        get(source(server), tmp_path / "a.bin")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_does_not_begin_like_an_archive_is_refused(server, tmp_path, kind):
    server.add("/a.bin", BODY)
    with pytest.raises(DownloadError, match=f"is no {kind} archive"):
        get(source(server, unpack=kind), tmp_path / "a.bin")
    assert "a.bin" not in left(tmp_path)


def test_an_empty_answer_is_no_file(server, tmp_path):
    server.add("/a.bin", b"")
    with pytest.raises(DownloadError, match="is empty"):
        get(source(server), tmp_path / "a.bin")
    assert left(tmp_path) == []


def test_the_next_mirror_is_asked_when_one_fails(server, tmp_path):
    server.add("/second.bin", BODY)
    get([source(server, "/first.bin"), source(server, "/second.bin")], tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.paths() == ["/first.bin", "/second.bin"]


def test_when_all_mirrors_fail_each_is_named_with_its_answer(server, tmp_path):
    server.add("/second.bin", b"<html>gone</html>", kind="text/html")
    with pytest.raises(
        DownloadError, match=r"/first.bin: 404 Not Found; .*/second.bin: answers with an HTML"
    ):
        get([source(server, "/first.bin"), source(server, "/second.bin")], tmp_path / "a.bin")


def test_a_mirror_takes_the_place_of_scheme_and_host(server, tmp_path, monkeypatch):
    server.add("/deep/a.bin", BODY)
    monkeypatch.setenv("RETAKE_MIRROR", server.url)
    get(File(url="https://videos.example/deep/a.bin", file="a.bin"), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert mirrored("https://videos.example/a?b=1", "http://near/cache/") == "http://near/cache/a?b=1"


def test_a_file_that_is_there_and_right_is_not_asked_for(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(BODY)
    get(source(server, sha256=SHA256), tmp_path / "a.bin")
    assert server.requests == []


@pytest.mark.parametrize("facts", [{"sha256": SHA256}, {"size": len(BODY)}], ids=["sha256", "size"])
def test_a_file_that_is_there_and_wrong_is_replaced(server, tmp_path, facts):
    server.add("/a.bin", BODY)
    (tmp_path / "a.bin").write_bytes(b"x")
    get(source(server, **facts), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_the_final_name_does_not_exist_while_bytes_arrive(server, tmp_path):
    seen = []
    server.add("/a.bin", BODY, halfway=lambda: seen.append((tmp_path / "a.bin").exists()))
    get(source(server), tmp_path / "a.bin")
    assert seen == [False]


def test_a_bar_shows_rate_and_time_left(server, tmp_path, capsys):
    server.add("/a.bin", BODY)
    get(source(server), tmp_path / "a.bin")
    bar = capsys.readouterr().err
    assert "a.bin: 100%" in bar
    assert "B/s" in bar
