"""Mini releases: the official files, the same bytes whoever makes them, a manifest and a truth that agree."""

import csv
import importlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.data import mini_release
from retake.data.mini_release import make_release, render_videos
from retake.miniworld import Fact, World
from retake.miniworld.ensemble import STORIES
from retake.miniworld.lexicon import KINDS
from retake.schema.card import read_card
from retake.schema.manifest import Manifest

SPLITS = {
    "msvd": {"train": 5, "val": 2, "test": 3},
    "msrvtt": {"train": 5, "val": 2, "test": 3},
    "imagenet": {"train": 54, "val": 10},
    "kinetics400": {"train": 26, "val": 4},
    "ucf101": {"train": 8, "test": 4},
    "hmdb51": {"train": 8, "test": 4},
    "charades": {"train": 4, "test": 2},
    "epic55": {"train": 12, "val": 5, "test_s1": 4, "test_s2": 5},
    "howto100m": {"train": 4},
    "coco_captions": {"train": 6, "val": 3},
    "laion": {"train": 30},
    "pile": {"train": 9, "val": 3},
    "ava": {"train": 5, "val": 2, "test": 2},
}
RELEASES = list(SPLITS)
READINGS = {
    "ucf101": ["ucf101_1", "ucf101_2", "ucf101_3"],
    "hmdb51": ["hmdb51_1", "hmdb51_2", "hmdb51_3"],
    "howto100m": ["howto100m", "howto100m_tasks"],
    "epic55": ["epic_verb", "epic_noun", "epic_action"],
    "ava": ["ava21"],
}
SPARE = {
    "hmdb51": 8,
    "laion": 1,
}  # videos that no fold uses, pictures of which no text is read; beside the splits
VIDEOS = {"epic55": 5}  # where a video has several items
SECONDS = {
    "ucf101": (1.55, 2.05),
    "hmdb51": (1.55, 2.05),
    "charades": (3.5, 4.9),
    "howto100m": (25.7, 30.3),
    "epic55": (4 * 5.5 - 0.4, 8 * 6.5 + 0.7),
    "kinetics400": (1.75, 2.25),
    "ava": (14.9, 60.1),
}
STILLS = ("imagenet", "coco_captions", "laion")
ENDINGS = (".avi", ".mp4", ".MP4", ".JPEG", ".jpg")
PART = ["howto100m", "ava"]  # an item is a part of a video


def made(
    release: str, root: Path, num_shards: int = 2, shards: Iterable[int] = (0, 1), **options: Any
) -> Path:
    """Make a release; its manifests and truth lie beside its folder."""
    root.parent.mkdir(parents=True, exist_ok=True)
    plan = {
        "release": release,
        "root": root,
        "splits": SPLITS[release],
        "options": options,
        "num_shards": num_shards,
    }
    for number in shards:
        shard = f"{number:03d}"
        render_videos(**plan, shard=shard, manifest_out=root.parent / f"shard{shard}.json")
    make_release(**plan, files_out=root.parent / "files.json", truth_out=root.parent / "truth.parquet")
    return root


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, made(request.param, tmp_path_factory.mktemp(request.param) / "root")


def test_the_parser_reads_back_what_was_made(release: tuple[str, Path]) -> None:
    name, root = release
    known = set(pq.read_table(root.parent / "truth.parquet")["video_id"].to_pylist())
    for reading in READINGS.get(name, [name]):
        card = read_card(Path(f"retake/data/datasets/{reading}/card.yaml"))
        own = reading if Path(f"retake/data/datasets/{reading}/parse.py").is_file() else name
        table = importlib.import_module(f"retake.data.datasets.{own}.parse").parse(root, card)
        table = table if isinstance(table, pd.DataFrame) else pd.concat(table)
        counted = "video_id" if name in PART else "item_id"
        assert table.groupby("split")[counted].nunique().to_dict() == SPLITS[name]
        if name == "pile":  # nothing is true of texts
            assert not known
            continue
        assert set(table["video_id"]) <= known
        assert len(known) == table["video_id"].nunique() + SPARE.get(name, 0)


def test_the_card_states_only_options_that_the_release_has(release: tuple[str, Path]) -> None:
    name, _ = release
    card = read_card(Path(f"retake/data/datasets/{name}/card.yaml"))
    mini = importlib.import_module(f"retake.data.datasets.{name}.mini")
    assert set(card.mini.splits) == set(mini.SPLITS)
    assert set(card.mini.options) <= {*mini.OPTIONS, *World.__dataclass_fields__}


def test_manifests_name_every_file_once_and_truly(release: tuple[str, Path]) -> None:
    name, root = release
    manifests = [
        Manifest.read(root.parent / name) for name in ("files.json", "shard000.json", "shard001.json")
    ]
    entries = [entry for manifest in manifests for entry in manifest.files]
    assert sorted(entry.path for entry in entries) == sorted(files_of(root))
    assert all((root / entry.path).stat().st_size == entry.size for entry in entries)
    assert not any(entry.video_id for entry in manifests[0].files)
    assert all(entry.video_id for manifest in manifests[1:] for entry in manifest.files)
    assert name == "pile" or manifests[1].files
    assert name == "pile" or manifests[2].files


def test_every_media_file_decodes(release: tuple[str, Path]) -> None:
    name, root = release
    for shard in ("shard000", "shard001"):
        for path in Manifest.read(root.parent / f"{shard}.json").videos().values():
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                count = sum(1 for _ in container.decode(stream))
                seconds = count / float(stream.average_rate)
            low, high = SECONDS.get(name, (1.9, 2.9))
            assert count == 1 if name in STILLS else low < seconds < high


def test_truth_says_for_every_video_what_is_so_and_how_it_is_told(release: tuple[str, Path]) -> None:
    name, root = release
    rows = pq.read_table(root.parent / "truth.parquet").to_pylist()
    columns = ("video_id", "fact", "kind", "value", "words", "start_s", "end_s")
    assert tuple(pq.read_schema(root.parent / "truth.parquet").names) == columns
    assert {row["kind"] for row in rows} <= {*KINDS, *(story.kind for story in STORIES.values())}
    assert all(row["words"] and row["words"] == [word.lower() for word in row["words"]] for row in rows)
    assert max(Counter((r["video_id"], r["fact"], r["start_s"]) for r in rows).values(), default=1) == 1
    timed = {row["start_s"] is not None and row["end_s"] > row["start_s"] for row in rows}
    assert timed == ({True} if name in (*PART, "epic55") else {False} if rows else set())


def test_one_shard_alone_gives_the_same_bytes(release: tuple[str, Path], tmp_path: Path) -> None:
    name, root = release
    alone = files_of(made(name, tmp_path / "root", shards=(1,)))
    whole = files_of(root)
    assert alone.items() <= whole.items()
    assert len(alone) < len(whole) or name == "pile"
    assert (tmp_path / "truth.parquet").read_bytes() == (root.parent / "truth.parquet").read_bytes()
    assert (
        Manifest.read(tmp_path / "shard001.json").files == Manifest.read(root.parent / "shard001.json").files
    )


def test_the_number_of_shards_changes_no_file(release: tuple[str, Path], tmp_path: Path) -> None:
    name, root = release
    assert files_of(made(name, tmp_path / "root", num_shards=1, shards=(0,))) == files_of(root)


def test_another_seed_makes_another_release(release: tuple[str, Path], tmp_path: Path) -> None:
    name, root = release
    other = set(files_of(made(name, tmp_path / "root", seed=2)).values())
    if name == "pile":
        assert not other & set(files_of(root).values())
        return
    videos = [data for path, data in files_of(root).items() if path.endswith(ENDINGS)]
    assert len(videos) == VIDEOS.get(name, sum(SPLITS[name].values())) + SPARE.get(name, 0)
    assert not other & set(videos)


def test_what_a_killed_job_left_is_gone_afterwards(release: tuple[str, Path], tmp_path: Path) -> None:
    name, _ = release
    for part in (".shard000.part", ".annotations.part"):
        (tmp_path / "root" / part).mkdir(parents=True)
        (tmp_path / "root" / part / "half.avi").write_bytes(b"half")
    found = files_of(made(name, tmp_path / "root"))
    assert not any("half" in path or ".part" in path for path in found)


def test_no_file_has_its_final_name_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = importlib.import_module("retake.data.datasets.msvd.mini")
    encode, done = mini.encode, []

    def stops(*args: object, **kwargs: object) -> None:
        if len(done) == 2:
            raise OSError("no space left")
        done.append(1)
        encode(*args, **kwargs)

    monkeypatch.setattr(mini, "encode", stops)
    with pytest.raises(OSError, match="no space"):
        made("msvd", tmp_path / "root", num_shards=1, shards=(0,))
    assert not files_of(tmp_path / "root")
    assert not (tmp_path / "shard000.json").exists()


def test_unknown_options_splits_and_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="msvd: option 'captoins'"):
        made("msvd", tmp_path / "root", captoins=3)
    with pytest.raises(ValueError, match="msvd: speech: 3"):
        made("msvd", tmp_path / "root", speech=3)
    with pytest.raises(ValueError, match="msvd: shard '004'; expected one of 000, 001"):
        made("msvd", tmp_path / "root", shards=(4,))
    plan = {"release": "msvd", "root": tmp_path, "splits": {"train": 3}, "options": {}, "num_shards": 1}
    with pytest.raises(ValueError, match="msvd: splits train; expected train, val, test"):
        make_release(**plan, files_out=tmp_path / "f", truth_out=tmp_path / "t")
    plan["splits"] = {"train": 1300, "val": 2, "test": 2}
    with pytest.raises(ValueError, match="msvd: splits: train: 1300"):
        make_release(**plan, files_out=tmp_path / "f", truth_out=tmp_path / "t")


def test_the_msvd_corpus_looks_like_the_official_one(tmp_path: Path) -> None:
    root = made("msvd", tmp_path / "root", shards=(), captions_per_video=20)
    with (root / "MSR Video Description Corpus.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["VideoID", "Start", "End", "WorkerID", "Source", "AnnotationTime", "Language", "Description"]
    assert list(rows[0]) == columns
    assert Counter(row["Language"] for row in rows)["English"] == 10 * 20
    assert len({row["Language"] for row in rows}) > 1
    assert {row["Source"] for row in rows} == {"clean", "unverified"}
    assert any("," in row["Description"] for row in rows)
    assert any('"' in row["Description"] for row in rows)
    mapping = (root / "youtube_mapping.txt").read_text().split()
    assert mapping[1::2] == [f"vid{n}" for n in (1, 2, 3, 4, 5, 1201, 1202, 1301, 1302, 1303)]
    assert {"{VideoID}_{Start}_{End}".format(**row) for row in rows} == set(mapping[::2])


def test_the_msrvtt_files_look_like_the_official_ones(tmp_path: Path) -> None:
    root = made("msrvtt", tmp_path / "root", shards=(), captions_per_video=3)
    both = [
        json.loads((root / name).read_text())
        for name in ("train_val_videodatainfo.json", "test_videodatainfo.json")
    ]
    videos = [video for one in both for video in one["videos"]]
    sentences = [sentence for one in both for sentence in one["sentences"]]
    assert all(set(one) == {"info", "videos", "sentences"} for one in both)
    keys = {"id", "video_id", "category", "url", "start time", "end time", "split"}
    assert all(set(video) == keys for video in videos)
    numbers = [0, 1, 2, 3, 4, 6513, 6514, 7010, 7011, 7012]
    assert [video["video_id"] for video in videos] == [f"video{n}" for n in numbers]
    assert [video["split"] for video in videos] == ["train"] * 5 + ["validate"] * 2 + ["test"] * 3
    assert [sentence["sen_id"] for sentence in sentences] == list(range(30))
    assert Counter(sentence["video_id"] for sentence in sentences) == {f"video{n}": 3 for n in numbers}


def test_msrvtt_has_two_folders_and_b_frames(tmp_path: Path) -> None:
    root = made("msrvtt", tmp_path / "root")
    assert len(list((root / "TrainValVideo").glob("*.mp4"))) == 7
    assert len(list((root / "TestVideo").glob("*.mp4"))) == 3
    with av.open(str(root / "TestVideo/video7010.mp4")) as container:
        assert container.streams.video[0].codec_context.has_b_frames


def test_imagenet_is_laid_out_as_ilsvrc(tmp_path: Path) -> None:
    root = made("imagenet", tmp_path / "root")
    classes = [line.split(" ")[0] for line in (root / "LOC_synset_mapping.txt").read_text().splitlines()]
    folders = sorted(path.name for path in (root / "ILSVRC/Data/CLS-LOC/train").iterdir())
    assert 20 <= len(classes) <= 54
    assert folders == sorted(classes)
    for split, folder in (("train", "train/*"), ("val", "val")):
        with (root / f"LOC_{split}_solution.csv").open(newline="") as file:
            rows = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(file)}
        assert set(rows) == {path.stem for path in root.glob(f"ILSVRC/Data/CLS-LOC/{folder}/*.JPEG")}
        for wnid, *box in rows.values():
            x0, y0, x1, y1 = map(int, box)
            assert wnid in classes
            assert 0 <= x0 < x1 <= 72
            assert 0 <= y0 < y1 <= 72


def test_no_picture_shows_a_colour_that_is_held_out() -> None:
    world = World(seed=1)
    classes = importlib.import_module("retake.data.datasets.imagenet.mini").classes(world, 5)
    shown = [subject for _, subject in classes.values() if "actor" in subject]
    assert len(shown) == 40
    assert all(world.seen(subject["actor"], subject["colour"]) for subject in shown)
    assert max(Counter(subject["colour"] for subject in shown).values()) <= 8


def test_the_ava_files_look_like_the_official_ones(tmp_path: Path) -> None:
    root = made("ava", tmp_path / "root", shards=())
    evaluated = (root / "ava_action_list_v2.1_for_activitynet_2018.pbtxt").read_text()
    every = (root / "ava_action_list_v2.1.pbtxt").read_text()
    assert (evaluated.count("item {"), every.count("label {")) == (12, 16)
    rows = [line.split(",") for line in (root / "ava_train_v2.1.csv").read_text().splitlines()]
    found = [line.split(",") for line in (root / "ava_train_predicted_boxes.csv").read_text().splitlines()]
    for row in rows + found:
        assert len(row) == 8
        assert len(row[0]) == 11
        assert len(row[1]) == 4
        left, top, right, bottom = map(float, row[2:6])
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    assert {int(row[1]) for row in rows} == set(range(1, 60))
    assert not any(row[6] for row in found)
    assert len((root / "ava_train_excluded_timestamps_v2.1.csv").read_text().splitlines()) == 5
    assert not (root / "ava_test_v2.1.csv").exists(), "who does what in the test is not published"
    listed = (root / "ava_file_names_test_v2.1.txt").read_text().splitlines()
    assert [len(name) for name in listed] == [15, 15]
    unseen = [
        line.split(",") for line in (root / "ava_test_excluded_timestamps_v2.1.csv").read_text().splitlines()
    ]
    assert Counter(video for video, _ in unseen) == {name.removesuffix(".mp4"): 1 + 45 for name in listed}
    seconds = (root / "ava_included_timestamps_v2.1.txt").read_text().split()
    assert (seconds[0], seconds[-1], len(seconds)) == ("0001", "0059", 59)
    actors = {(*row[:2], row[7]) for row in rows}
    assert 0.9 * len(actors) < len(found) < 1.1 * len(actors)
    assert {row["fact"].split(" ")[0] for row in pq.read_table(tmp_path / "truth.parquet").to_pylist()} == {
        "class"
    }


def test_the_ava_truth_says_of_each_class_when_somebody_does_it(tmp_path: Path) -> None:
    root = made("ava", tmp_path / "root", shards=())
    truth = pq.read_table(tmp_path / "truth.parquet").to_pylist()
    assert Counter(row["kind"] for row in {row["fact"]: row for row in truth}.values()) == {
        "one_frame": 5,
        "motion": 3,
        "far5": 2,
        "far15": 1,
        "far30": 1,
    }
    said = {
        (row["video_id"], int(row["value"]), second)
        for row in truth
        for second in range(int(row["start_s"]), int(row["end_s"]))
    }
    test = {name[:-4] for name in (root / "ava_file_names_test_v2.1.txt").read_text().split()}
    said = {one for one in said if one[0] not in test}
    for split in ("train", "val"):
        (root / f"ava_{split}_excluded_timestamps_v2.1.csv").write_text("")
    card = read_card(Path("retake/data/datasets/ava21/card.yaml"))
    for row in truth:  # the parser looks for the videos
        (root / "trainval").mkdir(exist_ok=True)
        (root / f"trainval/{row['video_id']}.mp4").touch()
    table = importlib.import_module("retake.data.datasets.ava21.parse").parse(root, card)
    read = {
        (row.video_id, label, int(row.start_s))
        for row in table.itertuples()
        if row.box_xyxy
        for label in row.labels
    }
    assert read == {one for one in said if one[2] > 0}


def test_an_object_written_in_pieces_is_what_json_writes(tmp_path):
    members = {"info": {"year": 2016}, "videos": [{"id": "ä", "n": 1}, {"id": "b"}], "none": []}
    pieces = {name: [json.dumps(one) for one in m] if isinstance(m, list) else json.dumps(m)
              for name, m in members.items()}  # fmt: skip
    mini_release.write_object(tmp_path / "a.json", pieces)
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == json.dumps(members) + "\n"


def test_facts_beyond_one_part_come_in_their_order_and_are_read_as_they_are_written(monkeypatch):
    monkeypatch.setattr(mini_release, "AT_ONCE", 3)
    facts = [Fact(f"f{n}", "motion", "one", ("a", "b")) for n in range(7)]

    def told():
        for n, fact in enumerate(facts):
            yield (f"v{n}", fact, 0.5, 1.0 + n) if n % 2 else (f"v{n}", fact)

    table = pa.concat_tables(mini_release.fact_tables(told()))
    assert table.schema == mini_release.TRUTH
    assert table["video_id"].to_pylist() == [f"v{n}" for n in range(7)]
    assert table["words"].to_pylist() == [["a", "b"]] * 7
    assert table["end_s"].to_pylist() == [1.0 + n if n % 2 else None for n in range(7)]
