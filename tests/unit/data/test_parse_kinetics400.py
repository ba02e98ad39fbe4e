"""Kinetics-400's files in small: lists under several names, clips that may be gone."""

from collections import Counter

import pytest

from retake.data.datasets.kinetics400 import mini
from retake.data.datasets.kinetics400.parse import parse
from retake.data.mini_release import MiniPlan
from retake.data.release import CARDS
from retake.miniworld import World
from retake.schema.card import read_card

CARD = read_card(CARDS / "kinetics400" / "card.yaml")
HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
HEAD = '"shaking head, arms"'
TRAIN = f"zumba,-abcdefghi_,3,13,train,0\n{HEAD},AAAAAAAAAAA,6724,6734,train,1\n"
VAL = "zumba,BBBBBBBBBBB,0,10,val,0\n"
CLIPS = ("zumba/-abcdefghi__000003_000013", "shaking/AAAAAAAAAAA_006724_006734", "BBBBBBBBBBB_000000_000010")


@pytest.fixture
def root(tmp_path):
    for clip in CLIPS:
        path = tmp_path / "clips" / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return lists(tmp_path)


def lists(root, train=TRAIN, val=VAL, called="kinetics-400_{}.csv", header=HEADER):
    for split, rows in (("train", train), ("val", val)):
        (root / called.format(split)).write_text(header + rows)
    return root


def found(root) -> list[tuple]:
    table = parse(root, CARD)
    labels = [label for (label,) in table["labels"]]
    return list(zip(table["split"], table["item_id"], labels, table["text_out"], strict=True))


EVERY = [
    ("train", "-abcdefghi__000003_000013", 1, "zumba"),
    ("train", "AAAAAAAAAAA_006724_006734", 0, "shaking head, arms"),
    ("val", "BBBBBBBBBBB_000000_000010", 1, "zumba"),
]


def test_clips_are_found_in_folders_and_flat_and_classes_are_sorted_by_name(root):
    assert found(root) == EVERY
    table = parse(root, CARD)
    assert set(table["task"]) == {"classify"}
    assert table["end_s"].isna().all()


def test_many_classes_are_numbered_in_the_order_of_their_names(root):
    names = [f"class {letter}" for letter in "qwertyuiopasdfghjkl"]
    lists(root, TRAIN + "".join(f"{name},{n:011d},0,10,train,0\n" for n, name in enumerate(names)))
    assert {title: label for _, _, label, title in found(root)} == {"zumba": 20, "shaking head, arms": 19}


@pytest.mark.parametrize("called", ["kinetics_{}.csv", "{}.csv", "kinetics400_{}.csv"])
def test_lists_go_by_other_names_and_a_test_list_is_not_read(root, called):
    for split in ("train", "val"):
        (root / f"kinetics-400_{split}.csv").unlink()
    lists(root, called=called)
    (root / "kinetics-400_test.csv").write_text(
        "youtube_id,time_start,time_end,split\nxxxxxxxxxxx,1,11,test\n"
    )
    assert found(root) == EVERY


def test_lists_with_fewer_columns_and_times_with_a_point_are_read(root):
    rows = "zumba,-abcdefghi_,3.0,13.0,train\n" + f"{HEAD},AAAAAAAAAAA,6724,6734,train\n"
    lists(root, rows, "zumba,BBBBBBBBBBB,0,10,validate\n", header=HEADER.replace(",is_cc", ""))
    assert found(root) == EVERY


def test_clips_that_are_gone_are_counted_and_keep_their_class_s_number(root, caplog):
    (root / "clips" / f"{CLIPS[1]}.mp4").unlink()
    (root / "clips" / "zumba" / "CCCCCCCCCCC_000001_000011.mp4").touch()
    assert found(root) == [EVERY[0], EVERY[2]]
    assert "kinetics400: 1 clips that are not there, left out; first AAAAAAAAAAA_006724_006734" in caplog.text
    assert (
        "kinetics400: 1 videos that no list names, left out; first CCCCCCCCCCC_000001_000011" in caplog.text
    )


def test_a_release_without_one_listed_clip_is_an_error(root):
    lists(root, "zumba,CCCCCCCCCCC,1,11,train,0\n", "zumba,DDDDDDDDDDD,1,11,val,0\n")
    with pytest.raises(
        ValueError, match=r"none of the 2 clips that the lists name is there, e\.g\. CCCCCCCCCCC_000001"
    ):
        parse(root, CARD)


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        (
            TRAIN + "zumba,EEEEEEEEEEE,13,3,train,0\n",
            VAL,
            r"train\.csv: line 4: '13' to '3'; expected two whole seconds",
        ),
        (
            TRAIN + "zumba,EEEEEEEEEEE,3,3,train,0\n",
            VAL,
            r"train\.csv: line 4: '3' to '3'; .* the second one later",
        ),
        (TRAIN + "zumba,EEEEEEEEEEE,,3,train,0\n", VAL, "line 4: '' to '3'"),
        (TRAIN + "zumba,EEEEEEEEEEE,0.5,3,train,0\n", VAL, "line 4: '0.5' to '3'"),
        (TRAIN + "zumba,EEEEEEEEEEE,1,3,val,0\n", VAL, "line 4: split 'val'; expected train"),
        (
            TRAIN + ",EEEEEEEEEEE,1,3,train,0\n",
            VAL,
            "line 4: label '', youtube_id 'EEEEEEEEEEE'; expected both",
        ),
        (
            TRAIN,
            VAL + "tango,FFFFFFFFFFF,1,3,val,0\n",
            r"val\.csv: line 3: class 'tango' is not among the 2 of",
        ),
        (
            TRAIN,
            VAL + "zumba,-abcdefghi_,3,13,val,0\n",
            r"val\.csv: line 3: clip .* stands twice \(before: .*train",
        ),
        (TRAIN + "zumba,E,train,0\n", VAL, "line 4: 4 fields; expected 6"),
    ],
)
def test_a_broken_list_is_named_by_file_and_line(root, train, val, said):
    lists(root, train, val)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)


def test_a_missing_list_is_named(root):
    (root / "kinetics-400_val.csv").unlink()
    with pytest.raises(
        ValueError, match="no list of split val; expected one of kinetics-400_val.csv, kinetics400_val"
    ):
        parse(root, CARD)


@pytest.mark.parametrize("splits", [{"train": 4, "val": 4}, {"train": 30, "val": 12}])
def test_a_small_release_tests_no_class_that_it_does_not_train_on(splits):
    made = mini._made(World(seed=1), MiniPlan("kinetics400", splits, mini.OPTIONS, 2))
    classes = {split: {one.shot.kind.name for one in made if one.split == split} for split in splits}
    assert classes["val"] <= classes["train"]
    assert Counter(one.split for one in made) == splits


def test_mini_classes_come_evenly_and_are_told_by_looks_motion_and_both():
    plan = MiniPlan("kinetics400", dict(CARD.mini.splits), mini.OPTIONS, 2)
    made = mini._made(World(seed=1), plan)
    counts = Counter((one.split, one.shot.kind.name) for one in made)
    assert len(mini.CLASSES) == CARD.mini.counts["classes"]
    assert counts == {(s, k.name): n for s, n in (("train", 20), ("val", 5)) for k in mini.CLASSES}
    assert {kind.by for kind in mini.CLASSES} >= {
        ("one_frame",),
        ("motion",),
        ("order",),
        ("one_frame", "motion"),
    }
    assert [kind.name for kind in mini.CLASSES] == sorted(kind.name for kind in mini.CLASSES)
    assert any("," in kind.name for kind in mini.CLASSES)
    assert len({one.clip for one in made}) == len(made)
