"""Manifests: what they list, and how they follow what happens on the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retake.data import release
from retake.data.release import files_under, index_release, matches, media_files, refresh, video_id_of
from retake.schema.card import Card, Media
from retake.schema.manifest import Manifest
from retake.schema.shards import shard_names, shard_of

ROOT = Path("data/mini/toy")
NAMES = [f"v{n}" for n in range(12)]
MEDIA = Media(glob="**/*.mp4")
SHARDS = 3


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Twelve videos in three shards, indexed, with a caption file beside them."""
    monkeypatch.chdir(tmp_path)
    card = Card(
        title="toy",
        licence="none",
        access="dead",
        media=MEDIA,
        tasks=["caption"],
        shards={"mini": SHARDS, "paper": 9},
    )
    monkeypatch.setattr(release, "card_of", lambda name: card)
    (ROOT / "videos").mkdir(parents=True)
    for name in NAMES:
        (ROOT / "videos" / f"{name}.mp4").write_bytes(name.encode())
    (ROOT / "words.csv").write_text("words")
    folder = tmp_path / "results/mini/releases/toy"
    for shard in shard_names(SHARDS):
        out = folder / f"shard{shard}.json"
        index_release(release="toy", root=ROOT, shard=shard, num_shards=SHARDS, manifest_out=out)
    others = ((path, None) for path in release.other_files(ROOT, MEDIA))
    release.manifest_of("toy", ROOT, others).write(folder / "files.json")
    return folder


def now() -> list[str]:
    return [path.name for path in refresh(release="toy", results=Path("results/mini"))]


def video(name: str) -> Path:
    return ROOT / "videos" / f"{name}.mp4"


def home(name: str) -> str:
    return f"shard{shard_of(name, SHARDS)}.json"


def later(path: Path) -> None:
    """Move the file's time, as an edit would."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def test_shards_share_the_media_out_and_each_stands_in_the_shard_of_its_name(toy):
    found = {}
    for shard in shard_names(SHARDS):
        manifest = Manifest.read(toy / f"shard{shard}.json")
        assert manifest.root == ROOT.as_posix()
        found |= {entry.video_id: shard for entry in manifest.files}
    assert found == {name: shard_of(name, SHARDS) for name in NAMES}


def test_files_that_are_no_media_stand_in_files_json(toy):
    assert [(entry.path, entry.video_id) for entry in Manifest.read(toy / "files.json").files] == [
        ("words.csv", None)
    ]


def test_two_files_that_claim_one_video_are_an_error_that_names_both(toy):
    (ROOT / "again").mkdir()
    (ROOT / "again" / "v0.mp4").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"again/v0\.mp4 and videos/v0\.mp4 are both video 'v0'"):
        index_release(
            release="toy",
            root=ROOT,
            shard=shard_of("v0", SHARDS),
            num_shards=SHARDS,
            manifest_out=toy / "x.json",
        )


@pytest.mark.parametrize(
    ("path", "glob", "expected"),
    [
        ("a.mp4", "**/*.mp4", True),
        ("x/y/a.mp4", "**/*.mp4", True),
        ("x/a.mp4", "*.mp4", False),
        ("x/a.mp4", "x/*.mp4", True),
        ("x/a.mp4.txt", "x/*.mp4", False),
        ("x/y/a.mp4", "x/*.mp4", False),
        ("video7.mp4", "video?.mp4", True),
        ("xa.mp4", "x.mp4", False),
    ],
)
def test_a_glob_keeps_to_its_folders(path, glob, expected):
    assert matches(path, glob) is expected


def test_a_video_is_named_by_its_stem_or_by_its_path_below_the_fixed_part():
    assert video_id_of("clips/x/a.b.mp4", Media(glob="clips/**/*.mp4")) == "a.b"
    assert video_id_of("clips/x/a.mp4", Media(glob="clips/**/*.mp4", id="path")) == "x/a.mp4"
    assert video_id_of("x/a.MP4", Media(glob="**/*", id="path", suffixes=[".mp4"])) == "x/a.MP4"
    assert video_id_of("x/a.txt", Media(glob="**/*", id="path", suffixes=[".mp4"])) is None


def test_the_walk_follows_links_but_not_in_circles_and_leaves_out_downloads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"a")
    (tmp_path / "real" / "round").symlink_to(tmp_path)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "videos").symlink_to(tmp_path / "real")
    for name in ("b.zip.part", "b.zip.part.json", ".hidden"):
        (tmp_path / "root" / name).write_bytes(b"")
    assert [path for path, _ in files_under(tmp_path / "root")] == ["videos/a.mp4"]


def test_the_walk_finds_the_same_order_whatever_the_disk_says(toy):
    assert [v for _, v in media_files(ROOT, MEDIA)] == sorted(NAMES)


def test_when_nothing_moved_nothing_is_read(toy, monkeypatch):
    assert now() == []
    monkeypatch.setattr(release, "entry_of", None)
    assert now() == []


def test_a_video_that_changed_changes_its_own_shard_only(toy):
    now()
    before = {path.name: path.read_bytes() for path in toy.iterdir()}
    video("v3").write_bytes(b"V3")  # as long as it was
    later(video("v3"))
    assert now() == [home("v3")]
    changed = [path.name for path in toy.iterdir() if path.read_bytes() != before[path.name]]
    assert changed == [home("v3")]
    assert now() == []


def test_a_video_that_was_only_touched_changes_nothing(toy):
    now()
    before = (toy / home("v3")).stat().st_mtime_ns
    later(video("v3"))
    assert now() == []
    assert (toy / home("v3")).stat().st_mtime_ns == before


def test_a_changed_caption_file_changes_files_json(toy):
    now()
    (ROOT / "words.csv").write_text("other words")
    assert now() == ["files.json"]


@pytest.mark.parametrize("seen", [True, False], ids=["cache", "no cache"])
def test_a_video_that_is_gone_leaves_its_manifest(toy, seen):
    if seen:
        now()
    video("v5").unlink()
    assert now() == [home("v5")]
    assert "v5" not in Manifest.read(toy / home("v5")).videos()


@pytest.mark.parametrize("seen", [True, False], ids=["cache", "no cache"])
def test_a_new_video_joins_the_shard_of_its_name(toy, seen):
    if seen:
        now()
    video("new").write_bytes(b"new")
    assert now() == [home("new")]
    assert Manifest.read(toy / home("new")).videos()["new"] == video("new")
    assert now() == []


def test_a_manifest_that_a_refresh_wrote_is_the_one_that_the_rule_would_write(toy):
    video("new").write_bytes(b"new")
    now()
    shard = shard_of("new", SHARDS)
    index_release(release="toy", root=ROOT, shard=shard, num_shards=SHARDS, manifest_out=toy / "again.json")
    assert (toy / "again.json").read_bytes() == (toy / home("new")).read_bytes()


def test_a_new_file_that_claims_a_known_video_is_an_error(toy):
    (ROOT / "v1.mp4").write_bytes(b"again")
    with pytest.raises(ValueError, match=r"videos/v1\.mp4 and v1\.mp4 are both video 'v1'"):
        now()


def test_a_new_file_that_is_no_video_is_looked_at_once(toy, monkeypatch):
    (ROOT / "notes.md").write_text("notes")
    assert now() == []
    monkeypatch.setattr(release, "card_of", None)
    assert now() == []


def test_a_shard_that_is_not_indexed_yet_is_left_to_its_rule(toy):
    (toy / home("new")).unlink()
    video("new").write_bytes(b"new")
    assert now() == []
    assert not (toy / home("new")).exists()


def test_manifests_of_another_number_of_shards_are_an_error(toy):
    video("new").write_bytes(b"new")
    with pytest.raises(ValueError, match=r"shard002\.json: expected 2 shards; delete"):
        refresh(release="toy", results=Path("results/mini"), num_shards=2)


def test_a_manifest_that_a_killed_job_left_half_made_is_not_read(toy):
    part = Path("results/mini/releases/toy/.part-shard001.json")
    part.mkdir()
    (part / "shard001.json").write_text("{")
    assert now() == []


def test_a_release_without_manifests_or_without_its_folder_is_left_alone(toy):
    assert refresh(release="other", results=Path("results/mini")) == []
    ROOT.rename("elsewhere")
    assert now() == []


def test_a_change_before_the_first_look_is_found(toy):
    video("v3").write_bytes(b"V3")
    assert now() == [home("v3")]


def test_of_many_files_never_seen_only_those_of_another_size_are_read(toy, monkeypatch):
    monkeypatch.setattr(release, "MAX_UNSEEN", 3)
    video("v3").write_bytes(b"V3")
    video("v4").write_bytes(b"longer than it was")
    assert now() == [home("v4")]


def test_a_large_release_is_not_watched_and_says_so_once(toy, monkeypatch, caplog):
    monkeypatch.setattr(release, "MAX_FILES", 5)
    video("v4").write_bytes(b"longer than it was")
    assert now() == []
    assert now() == []
    assert caplog.text.count("more than 5 files") == 1


def test_a_broken_cache_is_made_anew(toy):
    now()
    cache = Path(".snakemake/retake/mini/toy.json")
    cache.write_text("{")
    assert now() == []
    assert '"videos/v3.mp4"' in cache.read_text()


def test_what_planning_imports_is_light():
    code = "import sys, retake.data.release; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"pandas", "numpy", "torch", "pydantic", "pyarrow", "tqdm"}.isdisjoint(loaded)
