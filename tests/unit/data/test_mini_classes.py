"""Mini releases of classified videos: what tells a class, which fold tests what, and the official form."""

import csv
import importlib
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from av.video.frame import PictureType

from retake.data.mini_classes import LOOK, WAY, WAYS, Kind, shots, use
from retake.data.mini_release import WORLD_OPTIONS, MiniPlan, make_release, render_videos
from retake.miniworld import World, render
from retake.miniworld.lexicon import KINDS

MINIS = {
    n: importlib.import_module(f"retake.data.datasets.{n}.mini") for n in ("ucf101", "hmdb51", "charades")
}
LISTED = ("ucf101", "hmdb51")
SIZES = {"ucf101": {"train": 120, "test": 60}, "hmdb51": {"train": 80, "test": 40}}


def world_of(name: str) -> World:
    return World(**{k: v for k, v in MINIS[name].OPTIONS.items() if k in WORLD_OPTIONS})


def plan_of(name: str, splits: dict[str, int] | None = None) -> MiniPlan:
    return MiniPlan(name, splits or SIZES[name], dict(MINIS[name].OPTIONS), 2)


@cache
def made_of(name: str) -> list:
    mini = MINIS[name]
    return shots(
        world_of(name), plan_of(name), mini.CLASSES, takes=getattr(mini, "TAKES", 1), spare=spare_of(name)
    )


def spare_of(name: str) -> int:
    return getattr(MINIS[name], "SPARE", 0)


def made(name: str, root: Path, splits: dict[str, int]) -> Path:
    plan = {"release": name, "root": root, "splits": splits, "options": {}, "num_shards": 1}
    make_release(**plan, files_out=root.parent / "files.json", truth_out=root.parent / "truth.parquet")
    render_videos(**plan, shard="000", manifest_out=root.parent / "shard.json")
    return root


# --- which fold tests what ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("splits", "spare"), [({"train": 120, "test": 60}, 0), ({"train": 80, "test": 40}, 8), ({"train": 1, "test": 1}, 0), ({"train": 7, "test": 5}, 3)]
)  # fmt: skip
def test_every_fold_has_the_numbers_that_are_asked_for(splits, spare):
    plan = MiniPlan("x", splits, {}, 1)
    total = sum(splits.values()) + spare
    for fold in (1, 2, 3):
        assert Counter(use(plan, n, fold, spare) for n in range(total)) == Counter({**splits, "": spare})


@pytest.mark.parametrize("name", LISTED)
def test_tests_of_the_folds_do_not_overlap_and_hold_every_class_alike(name):
    plan, kinds = plan_of(name), MINIS[name].CLASSES
    tested = [
        {s.number for s in made_of(name) if use(plan, s.number, fold, spare_of(name)) == "test"}
        for fold in (1, 2, 3)
    ]
    assert all(len(one) == SIZES[name]["test"] for one in tested)
    assert len(set.union(*tested)) == 3 * SIZES[name]["test"]
    for one in tested:
        counts = Counter(made_of(name)[n].kind.name for n in one)
        assert counts == dict.fromkeys((k.name for k in kinds), SIZES[name]["test"] // len(kinds))


def test_takes_of_one_scene_are_never_both_trained_on_and_tested():
    plan, made = plan_of("ucf101"), made_of("ucf101")
    for fold in (1, 2, 3):
        uses = defaultdict(set)
        for shot in made:
            uses[shot.kind.name, shot.scene].add(use(plan, shot.number, fold))
        assert all(len(found) == 1 for found in uses.values())
    looks = defaultdict(set)
    for shot in made:
        looks[shot.kind.name, shot.scene].add((shot.clip.actors, shot.clip.place))
    assert all(len(found) == 1 for found in looks.values())


# --- what tells a class ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTED)
def test_there_are_classes_told_by_one_frame_by_motion_and_by_either(name):
    by = Counter(("one_frame" in k.by, bool({"motion", "order"} & set(k.by))) for k in MINIS[name].CLASSES)
    assert min(by[True, False], by[False, True], by[True, True]) >= 2
    assert by[False, False] == 0
    assert {kind for k in MINIS[name].CLASSES for kind in k.by} <= set(KINDS)


def look(kind: Kind, poses: bool = True) -> set[tuple]:
    """What one frame of a class may show: actor, object, place, and the pose where a frame tells it."""
    pose = {"sit": "sit", "sleep": "sleep"}
    shown = {pose.get(a, "") for group in kind.actions for a in group} if poses else {""}
    return {(a, o, p, s) for a in kind.actors for o in kind.objects for p in kind.places for s in shown}


@pytest.mark.parametrize("name", LISTED)
def test_a_class_told_by_one_frame_looks_like_no_other_and_others_share_their_looks(name):
    kinds = MINIS[name].CLASSES
    for kind in kinds:
        alike = [other.name for other in kinds if other is not kind and look(other) & look(kind)]
        assert bool(alike) == ("one_frame" not in kind.by), (kind.name, alike)


@pytest.mark.parametrize("name", LISTED)
def test_a_class_not_told_by_motion_moves_as_another_does(name):
    kinds = MINIS[name].CLASSES
    still = {"sit", "sleep"}

    def moves(kind):
        return {frozenset("still" if a in still else a for a in group) for group in kind.actions}

    for kind in kinds:
        alike = [other.name for other in kinds if other is not kind and moves(other) == moves(kind)]
        told = bool({"motion", "order"} & set(kind.by))
        assert bool(alike) == (not told), (kind.name, alike)


def frames_of(action: str, backwards: bool = False) -> list[bytes]:
    clip = World(rates=("12",), cameras=0, speech=0, outcomes=0, bystanders=0).clip("x", 3, "y")
    moving = action == "zoom"
    clip = replace(clip, action="" if moving else action, object="box", camera="zoom" if moving else "still")
    shown = render(clip)
    return [frame.tobytes() for frame in (shown[::-1] if backwards else shown)]


def test_classes_told_by_motion_alone_are_made_of_the_same_frames():
    ways = [frames_of(action) for group in WAYS for action in group]
    assert all(sorted(way) == sorted(ways[0]) for way in ways)
    assert len({tuple(way) for way in ways}) == len(ways)
    assert frames_of("open") == frames_of("close")[::-1]
    assert frames_of("open") != frames_of("close")


def test_no_class_is_told_by_left_or_right():
    for name in LISTED:
        groups = [set(group) for kind in MINIS[name].CLASSES for group in kind.actions]
        assert all(("left" in group) == ("right" in group) for group in groups)
        kinds = {k.name: Counter() for k in MINIS[name].CLASSES}
        for shot in made_of(name):
            kinds[shot.kind.name][shot.clip.mirror] += 1
        assert all(len(counts) == 2 for counts in kinds.values())


def test_leaving_is_approaching_backwards():
    made = {shot.kind.name: shot for shot in made_of("ucf101")}
    leaving, coming = made["CarLeaving"], made["FishApproaching"]
    assert leaving.backwards
    assert not coming.backwards
    assert np.array_equal(leaving.frames(), render(leaving.clip)[::-1])
    assert np.array_equal(coming.frames(), render(coming.clip))
    assert leaving.clip.camera == coming.clip.camera == "zoom"


@pytest.mark.parametrize("name", LISTED)
def test_truth_has_the_class_once_for_each_kind_of_evidence(name, tmp_path):
    root = made(name, tmp_path / "root", {"train": 8, "test": 4})
    rows = pq.read_table(tmp_path / "truth.parquet").to_pandas()
    kinds = {kind.name: kind for kind in MINIS[name].CLASSES}
    assert len(list(root.rglob("*.avi"))) == rows["video_id"].nunique()
    for _, found in rows.groupby("video_id"):
        (title,) = set(found["value"])
        assert tuple(found["kind"]) == kinds[title].by
        assert tuple(found["fact"]) == tuple(LOOK if kind == "one_frame" else WAY for kind in kinds[title].by)


# --- the official form ----------------------------------------------------------------------------------------


def facts_of(path: Path) -> tuple[str, str, int, float]:
    """Tag of the codec, picture types, number of frames, rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        tag, rate = stream.codec_context.codec_tag, float(stream.average_rate)
        types = "".join(PictureType(frame.pict_type).name for frame in container.decode(stream))
    return tag, types, len(types), rate


def test_ucf101_lies_in_class_folders_and_has_both_kinds_of_clip(tmp_path):
    root = made("ucf101", tmp_path / "root", {"train": 20, "test": 10})
    lists = root / "ucfTrainTestlist"
    assert sorted(p.name for p in lists.iterdir()) == sorted(
        ["classInd.txt", *(f"{s}list0{n}.txt" for s in ("train", "test") for n in (1, 2, 3))]
    )
    assert (lists / "classInd.txt").read_bytes().startswith(b"1 BirdDrumming\r\n2 BirdJuggling\r\n")
    line = (lists / "trainlist01.txt").read_text().split("\n")[0]
    assert line == "BirdDrumming/v_BirdDrumming_g01_c02.avi 1"
    found = [facts_of(path) for path in sorted(root.glob("UCF-101/*/v_*_g??_c??.avi"))]
    assert len(found) == 30
    assert {tag for tag, *_ in found} == {"XVID"}
    odd = [types for _, types, _, rate in found if rate != 12]
    even = [types for _, types, _, rate in found if rate == 12]
    assert odd
    assert all(set(types) == {"I", "P"} and types[12] == "I" for types in odd)
    assert all(types.count("I") == 1 and "B" in types for types in even)


def test_hmdb51_has_a_list_a_class_and_fold_and_wide_clips(tmp_path):
    root = made("hmdb51", tmp_path / "root", {"train": 16, "test": 8})
    files = sorted((root / "testTrainMulti_7030_splits").iterdir())
    assert len(files) == 3 * len(MINIS["hmdb51"].CLASSES)
    assert files[0].name == "close_test_split1.txt"
    assert {line[-3:] for line in files[0].read_text().splitlines()} == {" 0 ", " 1 ", " 2 "}
    found = {path: facts_of(path) for path in root.glob("hmdb51_org/*/*.avi")}
    assert {tag for tag, *_ in found.values()} == {"DX50"}
    assert all(types.count("I") == 1 and "B" in types for _, types, *_ in found.values())
    sizes = set()
    for path in found:
        with av.open(str(path)) as container:
            sizes.add((container.streams.video[0].width, container.streams.video[0].height))
    assert sizes == {(80, 60), (108, 60)}


@pytest.fixture(scope="module")
def charades(tmp_path_factory):
    return made("charades", tmp_path_factory.mktemp("charades") / "root", {"train": 31, "test": 4})


def test_charades_tables_look_like_the_official_ones(charades):
    header = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
    with (charades / "Charades_v1_train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == header
    assert all(len(row["id"]) == 5 for row in rows)
    assert sum(not row["actions"] for row in rows) == 1  # the 30th
    ends = [[float(a.split()[2]) for a in row["actions"].split(";")] for row in rows if row["actions"]]
    lengths = [float(row["length"]) for row in rows if row["actions"]]
    assert any(max(one) > length for one, length in zip(ends, lengths, strict=True))
    assert any('"' in row["descriptions"] and "," in row["descriptions"] for row in rows)
    classes = (charades / "Charades_v1_classes.txt").read_text().splitlines()
    assert [line[:4] for line in classes] == [f"c{n:03d}" for n in range(12)]


def test_charades_intervals_change_where_the_picture_does(charades):
    """At every scene's first frame another thing is done: the frames differ there more than anywhere near."""
    card = importlib.import_module("retake.schema.card").read_card("retake/data/datasets/charades/card.yaml")
    table = importlib.import_module("retake.data.datasets.charades.parse").parse(charades, card)
    for video, rows in list(table[table["split"] == "train"].groupby("video_id"))[:8]:
        starts = [start for start in rows["start_s"] if start]
        with av.open(str(charades / f"Charades_v1_480/{video}.mp4")) as container:
            frames = [(f.time, f.to_ndarray(format="gray").astype(int)) for f in container.decode(video=0)]
        times = np.array([time for time, _ in frames])
        jumps = np.array(
            [0.0] + [np.abs(b[1] - a[1]).mean() for a, b in zip(frames, frames[1:], strict=False)]
        )
        for start in starts:
            assert jumps[np.searchsorted(times, start)] > 1.0, (video, start)


def test_charades_truth_names_the_classes_of_each_video(charades):
    truth = pq.read_table(charades.parent / "truth.parquet").to_pandas()
    with (charades / "Charades_v1_test.csv").open(newline="") as file:
        said = {row["id"]: {a[:4] for a in row["actions"].split(";")} for row in csv.DictReader(file)}
    for video, classes in said.items():
        assert set(truth.loc[truth["video_id"] == video, "value"]) == classes
    assert set(truth["kind"]) == {"one_frame", "order", "motion"}
