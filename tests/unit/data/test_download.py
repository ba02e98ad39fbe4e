"""A release: fetched from a real server on loopback, adopted from a folder, or asked for in words."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from retake.data import download, release
from retake.data.download import ReleaseError, download_release
from retake.schema.manifest import Manifest
from tests.fixtures.loopback import serve

FILES = {"videos/a.mp4": b"one", "videos/b.mp4": b"two"}
CARD = {
    "title": "Toy clips",
    "licence": "none",
    "access": "open",
    "notes": "Ask the makers.",
    "sources": [
        {"url": "https://clips.example/toy.zip", "file": "toy.zip", "unpack": "zip"},
        {"url": "https://clips.example/words.csv", "file": "words.csv"},
    ],
    "expects": [{"path": "videos/*.mp4", "at_least": 2}, {"path": ["words.csv", "words.json"]}],
    "media": {"glob": "videos/*.mp4"},
    "tasks": ["caption"],
}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Writes the card of the release toy with a few values changed."""

    def write(**values: object) -> None:
        (tmp_path / "cards" / "toy").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cards" / "toy" / "card.yaml").write_text(yaml.safe_dump({**CARD, **values}))

    monkeypatch.setattr(release, "CARDS", tmp_path / "cards")
    monkeypatch.chdir(tmp_path)
    write()
    return write


@pytest.fixture
def server():
    with serve() as served:
        served.add("/toy.zip", zipped(FILES))
        served.add("/words.csv", b"a,one\n")
        yield served


def bring(server, **settings: object) -> Manifest:
    values = {
        "root": Path("data/toy"),
        "folder": None,
        "files_out": Path("files.json"),
        "pause_s": 0.0,
        **settings,
    }
    download_release(release="toy", mirror=server.url if server else "http://127.0.0.1:9", **values)
    return Manifest.read(Path("files.json"))


def test_a_release_is_fetched_unpacked_and_listed(card, server):
    manifest = bring(server)
    assert Path("data/toy/videos/b.mp4").read_bytes() == b"two"
    assert [entry.path for entry in manifest.files] == ["toy.zip", "words.csv"]
    assert manifest.root == "data/toy"


def test_a_second_run_asks_for_nothing(card, server):
    first = bring(server)
    server.requests.clear()
    assert bring(server) == first
    assert server.requests == []


def test_an_archive_that_was_thrown_away_after_unpacking_is_not_fetched_again(card, server):
    bring(server)
    Path("data/toy/toy.zip").unlink()
    server.requests.clear()
    assert [entry.path for entry in bring(server).files] == ["words.csv"]
    assert server.requests == []


def test_a_kill_between_download_and_unpack_costs_no_second_download(card, server, monkeypatch):
    def killed(*args: object, **settings: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(download, "unpack_once", killed)
        with pytest.raises(KeyboardInterrupt):
            bring(server)
    assert not Path("files.json").exists()
    bring(server)
    assert Path("data/toy/videos/a.mp4").read_bytes() == b"one"
    assert server.paths() == ["/toy.zip", "/words.csv"]


def test_a_tar_is_unpacked_into_the_folder_that_the_card_names(card, server):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("a.mp4", "b.mp4"):
            archive.addfile(tarfile.TarInfo(name))
    server.add("/toy.tar", out.getvalue())
    source = {"url": "https://clips.example/toy.tar", "file": "toy.tar", "unpack": "tar", "into": "videos"}
    card(sources=[source, CARD["sources"][1]])
    bring(server)
    assert Path("data/toy/videos/b.mp4").is_file()


def test_sources_of_one_file_are_mirrors(card, server):
    dead = {"url": "https://clips.example/gone.zip", "file": "toy.zip", "unpack": "zip"}
    card(sources=[dead, *CARD["sources"]])
    bring(server)
    assert server.paths() == ["/gone.zip", "/toy.zip", "/words.csv"]


def test_when_no_mirror_answers_the_message_says_which_files_to_put_where(card, server):
    del server.replies["/toy.zip"]
    with pytest.raises(ReleaseError) as raised:
        bring(server)
    said = str(raised.value)
    assert f"tried    toy.zip: {server.url}/toy.zip: 404 Not Found" in said
    assert "missing  videos/*.mp4 (at least 2 files, found 0)" in said
    assert "words.csv" not in said  # that one came
    assert "Put the missing files under data/toy/" in said
    assert "folders: {toy: /path/to/it}" in said
    assert "Ask the makers." in said
    assert not Path("files.json").exists()


def test_a_page_in_place_of_the_archive_ends_in_the_same_message(card, server):
    server.add("/toy.zip", b"<html>sign in</html>", kind="text/html")
    with pytest.raises(ReleaseError, match=r"HTML page(.|\n)*missing  videos/\*\.mp4(.|\n)*data/toy/"):
        bring(server)
    assert not Path("data/toy/toy.zip").exists()


def test_an_archive_that_writes_outside_is_refused_and_not_kept(card, server):
    server.add("/toy.zip", zipped({**FILES, "../../evil.txt": b"evil"}))
    with pytest.raises(ReleaseError, match="outside its folder"):
        bring(server)
    assert not Path("evil.txt").exists()
    assert not Path("data/toy/videos").exists()
    assert not Path("data/toy/toy.zip").exists()


@pytest.mark.parametrize(
    ("access", "why"),
    [
        ("form", "after a form is signed"),
        ("packed", "in archives that nothing here opens"),
        ("dead", "no longer given out"),
    ],
)
def test_a_gated_or_dead_release_is_never_asked_for(card, server, access, why):
    card(access=access)
    with pytest.raises(ReleaseError) as raised:
        bring(server)
    said = str(raised.value)
    assert why in said
    assert "missing  words.csv or words.json" in said
    assert "Put the missing files under data/toy/" in said
    assert ("ask at   https://clips.example/toy.zip" in said) == (access == "form")
    assert ("unpack   https://clips.example/toy.zip" in said) == (access == "packed")
    assert server.requests == []


def test_files_that_somebody_put_there_are_taken(card, server):
    card(access="form")
    for name, body in {**FILES, "words.json": b"{}"}.items():
        path = Path("data/toy") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    assert [entry.path for entry in bring(server).files] == ["words.json"]


def having(folder: str, names: list[str]) -> Path:
    for name in names:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return Path(folder)


def test_a_folder_that_the_user_has_is_linked_and_nothing_is_fetched(card, server):
    folder = having("mine", ["videos/a.mp4", "videos/b.mp4", "words.csv"])
    manifest = bring(server, folder=folder)
    assert Path("data/toy").is_symlink()
    assert Path("data/toy").resolve() == folder.resolve()
    assert manifest.root == "data/toy"
    assert [entry.path for entry in manifest.files] == ["words.csv"]
    assert server.requests == []


def test_a_folder_that_lacks_files_is_refused_with_every_one_of_them(card, server):
    folder = having("mine", ["videos/a.mp4"])
    with pytest.raises(ReleaseError) as raised:
        bring(server, folder=folder)
    said = str(raised.value)
    assert "missing  videos/*.mp4 (at least 2 files, found 1)" in said
    assert "missing  words.csv or words.json" in said
    assert list(folder.rglob("*.*")) == [folder / "videos/a.mp4"]  # nothing was written into it


def test_a_folder_that_is_not_there_is_named_with_its_key(card, server):
    with pytest.raises(ReleaseError, match=r"folders\.toy: nowhere is no folder"):
        bring(server, folder=Path("nowhere"))


def test_another_folder_takes_the_links_place_and_files_are_never_covered(card, server):
    names = ["videos/a.mp4", "videos/b.mp4", "words.csv"]
    bring(server, folder=having("mine", names))
    bring(server, folder=having("other", names))
    assert Path("data/toy").resolve() == Path("other").resolve()
    Path("data/toy").unlink()
    having("data/toy", names)
    with pytest.raises(ReleaseError, match="data/toy holds files already"):
        bring(server, folder=Path("mine"))


def test_nothing_is_fetched_into_a_folder_that_is_only_linked(card, server):
    folder = having("mine", ["videos/a.mp4"])
    Path("data").mkdir()
    Path("data/toy").symlink_to(folder.absolute())
    with pytest.raises(ReleaseError, match="missing"):
        bring(server)
    assert server.requests == []


OWN = {
    "access": "folder",
    "sources": [],
    "expects": [{"path": "videos/**/*"}],
    "media": {"glob": "videos/**/*", "id": "path", "suffixes": [".mp4"]},
}


def test_own_videos_and_their_table_are_linked_from_wherever_they_lie(card):
    card(**OWN)
    folder = having("holiday", ["day one/a.mp4", "b.MP4", "readme.txt"])
    table = having("tables", ["mine.csv"]) / "mine.csv"
    manifest = bring(None, folder=folder, tables={"captions": table})
    assert [entry.path for entry in manifest.files] == ["captions.csv", "videos/readme.txt"]
    assert Path("data/toy/videos/day one/a.mp4").is_file()
    bring(None, folder=folder, tables={"labels": table})
    assert not Path("data/toy/captions.csv").exists()
    assert Path("data/toy/labels.csv").resolve() == table.resolve()
    bring(None, folder=folder)
    assert not Path("data/toy/labels.csv").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"toy: missing; expected toy: \{videos: folder"),
        ({"folder": Path("nowhere")}, r"toy\.videos: nowhere is no folder"),
        ({"folder": Path(), "tables": {"captions": Path("no.csv")}}, r"toy\.captions: no\.csv is no file"),
    ],
    ids=["no folder", "wrong folder", "wrong table"],
)
def test_a_wrong_setting_of_own_videos_is_named_by_its_key(card, settings, said):
    card(**OWN)
    with pytest.raises(ReleaseError, match=said):
        bring(None, **settings)
