"""AVA's files in small: keyframes, boxes and their classes, seconds that are left out, detected boxes."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from retake.data.array_index import read_failures
from retake.data.datasets.ava21.lists import class_list
from retake.data.datasets.ava21.parse import classes, detections, parse
from retake.data.detections import read_detections
from retake.data.release import CARDS
from retake.schema.card import read_card
from retake.schema.manifest import Entry, Manifest

CARD = read_card(CARDS / "ava21" / "card.yaml")
EVALUATED = 'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem {\n  name: "sit"\n  id: 11\n}\n'
EVALUATED += 'item {\n  name: "fly"\n  id: 3\n}\n'
ALL = "".join(
    f'label {{\n  name: "class {n}"\n  label_id: {n}\n  label_type: PERSON_MOVEMENT\n}}\n'
    for n in range(1, 13)
)
TRAIN = """-aA0,0902,0.077,0.151,0.283,0.811,11,1
-aA0,0902,0.077,0.151,0.283,0.811,1,1
-aA0,0902,0.5,0,1,1.000,2,0
-aA0,0904,0.2,0.2,0.3,0.3,3,0
"""
VAL = "b_1,0903,0.1,0.1,0.2,0.2,3,7\nb_1,0904,0.1,0.1,0.2,0.2,3,7\n"
LIST = "ava_action_list_v2.1_for_activitynet_2018.pbtxt"
BOX = "0.1,0.1,0.2,0.2"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "trainval").mkdir()
    for name in ("-aA0.mkv", "b_1.mp4", "c.webm"):
        (tmp_path / "trainval" / name).touch()
    written = {
        LIST: EVALUATED,
        "ava_action_list_v2.1.pbtxt": ALL,
        "ava_train_v2.1.csv": TRAIN,
        "ava_val_v2.1.csv": VAL,
        "ava_train_excluded_timestamps_v2.1.csv": "",
        "ava_val_excluded_timestamps_v2.1.csv": "b_1,0904\n",
        "ava_included_timestamps_v2.1.txt": "0902\n0903\n0904\n",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def found(root) -> list[tuple]:
    table = parse(root, CARD)
    rows = zip(
        table["split"], table["ref_id"], table["labels"], table["box_xyxy"], table["track_id"], strict=True
    )
    return [(*row[:3], row[3], None if row[3] is None else row[4]) for row in rows]


def test_the_card_states_the_published_counts():
    assert (CARD.counts["videos"], CARD.counts["classes"]) == (299, 60)
    assert (CARD.counts["first_s"], CARD.counts["last_s"]) == (902, 1798)
    seconds = CARD.counts["last_s"] - CARD.counts["first_s"] + 1
    assert seconds == 897
    assert CARD.splits == {"train": 235 * seconds - 161, "val": 64 * seconds - 37, "test": 131 * seconds - 66}
    videos = [source.file for source in CARD.sources if source.file.startswith("trainval/")]
    assert len(set(videos)) == len(videos) == 299


def test_a_row_is_a_box_with_its_classes_and_a_keyframe_without_one_has_a_row(root):
    assert found(root) == [
        ("train", "-aA0,0902,0", [0, 1], [0.077, 0.151, 0.283, 0.811], "1"),
        ("train", "-aA0,0902,1", [], [0.5, 0.0, 1.0, 1.0], "0"),
        ("train", "-aA0,0903,0", [], None, None),
        ("train", "-aA0,0904,0", [2], [0.2, 0.2, 0.3, 0.3], "0"),
        ("val", "b_1,0902,0", [], None, None),
        ("val", "b_1,0903,0", [2], [0.1, 0.1, 0.2, 0.2], "7"),
    ]
    table = parse(root, CARD)
    assert table["item_id"].tolist()[:3] == ["-aA0,0902", "-aA0,0902", "-aA0,0903"]
    assert table["start_s"].tolist() == [902.0, 902.0, 903.0, 904.0, 902.0, 903.0]
    assert (table["end_s"] - table["start_s"]).tolist() == [1.0] * 6
    assert set(table["task"]) == {"detect"}
    said = table["text_out"].astype(object).where(table["text_out"].notna(), None).to_list()
    assert said == ["bend/bow (at the waist); sit", None, None, "fly", None, "fly"]


def test_what_is_left_out_is_counted(root, caplog):
    (root / "ava_train_v2.1.csv").write_text(TRAIN + TRAIN.splitlines(keepends=True)[0])
    before = found(root)
    for said in (
        "1 train rows of classes that are not evaluated, left out; first -aA0,0902 class 2",
        "1 train rows that stand twice, left out; first -aA0,0902 class 11",
        "1 val rows of excluded seconds, left out; first b_1,0904 class 3",
        "1 videos that no table names, left out; first c",
    ):
        assert f"ava21: {said}" in caplog.text
    (root / "ava_train_v2.1.csv").write_text(TRAIN)
    assert found(root) == before


def test_a_row_of_an_excluded_second_is_counted_as_that_alone(root, caplog):
    """Whether its class is evaluated, and whether it stands twice, is asked of the keyframes that are there."""
    (root / "ava_val_v2.1.csv").write_text(VAL + f"b_1,0904,{BOX},2,7\n" * 2)
    rows = found(root)
    assert "3 val rows of excluded seconds, left out; first b_1,0904 class 3" in caplog.text
    assert "val rows of classes that are not evaluated" not in caplog.text
    assert "val rows that stand twice" not in caplog.text
    assert [row[1] for row in rows if row[0] == "val"] == ["b_1,0902,0", "b_1,0903,0"]


def test_all_seconds_of_the_card_are_keyframes_where_no_list_names_them(root):
    (root / "ava_included_timestamps_v2.1.txt").unlink()
    table = parse(root, CARD)
    assert table.groupby("split")["item_id"].nunique().to_dict() == {"train": 897, "val": 896}
    assert (table["start_s"].min(), table["start_s"].max()) == (902.0, 1798.0)


def test_labels_follow_the_list_of_evaluated_classes_and_both_names_of_it_are_read(root):
    assert classes(root) == {1: "bend/bow (at the waist)", 11: "sit", 3: "fly"}
    (root / LIST).rename(root / f"{LIST}.txt")
    assert list(classes(root)) == [1, 11, 3]


def test_without_the_list_of_all_classes_there_are_as_many_as_the_card_says(root):
    (root / "ava_action_list_v2.1.pbtxt").unlink()
    (root / "ava_train_v2.1.csv").write_text(f"-aA0,0902,{BOX},80,1\n")
    assert found(root)[0][2] == []
    (root / "ava_train_v2.1.csv").write_text(f"-aA0,0902,{BOX},81,1\n")
    with pytest.raises(ValueError, match="line 1: class '81'"):
        parse(root, CARD)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            f"-aA0,0902,{BOX},11",
            "line 5: 7 fields; expected 8: video,second,left,top,right,bottom,class,person",
        ),
        (f"-aA0,0902,{BOX},11,", "line 5: person ''; expected a number"),
        (f"-aA0,0902,{BOX},13,1", "line 5: class '13'; expected the number of one of the list"),
        (f"-aA0,0902,{BOX},,0.93", "line 5: class ''"),
        (f"-aA0,0902,{BOX},-1,1", "line 5: class '-1'"),
        (f"-aA0,0901,{BOX},11,1", "line 5: second '0901'; expected one of 902 to 904"),
        (f"-aA0,0905,{BOX},11,1", "line 5: second '0905'"),
        (f"-aA0,902.5,{BOX},11,1", "line 5: second '902.5'"),
        (
            "-aA0,0902,0.1,0.1,1.001,0.2,11,1",
            "line 5: box 0.1,0.1,1.001,0.2; expected left, top, right, bottom",
        ),
        ("-aA0,0902,-0.1,0.1,0.2,0.2,11,1", "line 5: box -0.1"),
        ("-aA0,0902,0.1,0.2,0.2,0.2,11,1", "line 5: box .* of some area"),
        ("-aA0,0902,0.2,0.1,0.1,0.2,11,1", "line 5: box"),
        ("-aA0,0902,0.1,0.1,nan,0.2,11,1", "line 5: box"),
        ("-aA0,0902,,0.1,0.2,0.2,11,1", "line 5: box"),
        (f",0902,{BOX},11,1", "line 5: no video; expected its name"),
        (f"d,0902,{BOX},11,1", "line 5: no video d in the release"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(root, row, said):
    (root / "ava_train_v2.1.csv").write_text(TRAIN + row + "\n")
    with pytest.raises(ValueError, match=rf"ava_train_v2\.1\.csv: {said}"):
        parse(root, CARD)


def test_a_video_of_both_splits_is_an_error(root):
    (root / "ava_val_v2.1.csv").write_text(VAL + TRAIN)
    with pytest.raises(ValueError, match=r"ava_val_v2\.1\.csv: line 3: video -aA0 is in split train, too"):
        parse(root, CARD)


def test_the_tests_videos_have_keyframes_without_boxes_and_labels(root, caplog):
    """Of those that are there: of c the second that is not excluded; of -aA0 that it is of another split."""
    assert "c.webm" not in {row[1] for row in found(root)}
    (root / "ava_file_names_test_v2.1.txt").write_text("d.mkv\nc.webm\n")
    (root / "ava_test_excluded_timestamps_v2.1.csv").write_text("c,0902\nc,0904\n")
    table = parse(root, CARD)
    test = table[table["split"] == "test"]
    assert test["item_id"].tolist() == ["c,0903"]
    (row,) = test.to_dict("records")
    assert (row["ref_id"], row["video_id"], row["start_s"], row["end_s"]) == ("c,0903,0", "c", 903.0, 904.0)
    assert (row["box_xyxy"], row["labels"]) == (None, None)
    assert pd.isna(row["text_out"])
    assert "1 test videos that are not there, left out; first d" in caplog.text
    (root / "ava_file_names_test_v2.1.txt").write_text("c.webm\n-aA0.mkv\n")
    with pytest.raises(
        ValueError, match=r"ava_file_names_test_v2\.1\.txt: line 2: video -aA0 is in split train, too"
    ):
        parse(root, CARD)
    (root / "ava_file_names_test_v2.1.txt").write_text("c.webm\nc.webm\n")
    with pytest.raises(ValueError, match=r"line 2: video c is in split test, too"):
        parse(root, CARD)
    (root / "ava_file_names_test_v2.1.txt").write_text("c\n")
    with pytest.raises(ValueError, match=r"line 1: 'c'; expected the name of a video file"):
        parse(root, CARD)
    (root / "ava_file_names_test_v2.1.txt").write_text("c.webm\n")
    (root / "ava_test_excluded_timestamps_v2.1.csv").unlink()
    with pytest.raises(ValueError, match="list of excluded seconds of split test"):
        parse(root, CARD)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "ava_val_excluded_timestamps_v2.1.csv",
            "b_1,0904\nb_1\n",
            "line 2: 1 fields; expected 2: video,second",
        ),
        ("ava_val_excluded_timestamps_v2.1.csv", "b_1,0905\n", "line 1: second '0905'"),
        (
            "ava_included_timestamps_v2.1.txt",
            "0902\n0902\n",
            "line 2: '0902'; expected a second a line, each once",
        ),
        ("ava_included_timestamps_v2.1.txt", "", "no second; expected one a line"),
        (LIST, EVALUATED + EVALUATED, "line 16: class '1' .*once in the list"),
        (LIST, EVALUATED.replace("id: 11", "id: x"), "line 8: class 'x' 'sit'; expected a number"),
        (LIST, EVALUATED.replace('  name: "sit"\n', ""), "line 7: class '11' ''"),
        (LIST, EVALUATED[:-2], "the last block is open"),
        (LIST, EVALUATED + "fly\n", "line 13: 'fly'; expected blocks"),
        (LIST, "\n", "no class; expected a list of classes"),
        (LIST, EVALUATED.replace("11", "13"), "class 13 is evaluated and not in the list of all"),
    ],
)
def test_a_broken_list_is_named(root, name, text, said):
    (root / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)


@pytest.mark.parametrize("name", [LIST, "ava_val_v2.1.csv", "ava_train_excluded_timestamps_v2.1.csv"])
def test_a_missing_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ValueError, match=f"expected one of {name}"):
        parse(root, CARD)


def test_a_list_may_name_a_class_twice_under_two_numbers(tmp_path):
    (tmp_path / "list.txt").write_text('item {\n name: "a"\n id: 79\n}\nitem {\n name: "a"\n id: 80\n}\n')
    assert class_list(tmp_path / "list.txt") == {79: "a", 80: "a"}


def test_detected_boxes_come_by_video_and_time_the_surest_first(root, caplog):
    (root / "annotations").mkdir()
    (root / "annotations/ava_val_predicted_boxes.csv").write_text(
        "b_1,0904,0.1,0.1,0.2,0.2,,0.5\nb_1,0903,0.1,0.1,0.2,0.2,,0.25\nb_1,0903,0,0,1,1,,1e-1\n"
        "b_1,0903,0.3,0.1,0.5,0.2,,0.99\nelsewhere,0903,0.3,0.1,0.5,0.2,,0.99\n"
    )
    (root / "ava_train_predicted_boxes.csv").write_text("-aA0,0902,0.4,0.1,0.5,0.2,,0.75\n")
    table = detections(root, CARD)
    assert table.to_dict("split")["data"] == [
        ["-aA0", 902.0, [0.4, 0.1, 0.5, 0.2], 0.75, "person"],
        ["b_1", 903.0, [0.3, 0.1, 0.5, 0.2], 0.99, "person"],
        ["b_1", 903.0, [0.1, 0.1, 0.2, 0.2], 0.25, "person"],
        ["b_1", 903.0, [0.0, 0.0, 1.0, 1.0], 0.1, "person"],
        ["b_1", 904.0, [0.1, 0.1, 0.2, 0.2], 0.5, "person"],
    ]
    assert list(table) == ["video_id", "time_s", "box_xyxy", "score", "label"]
    assert "1 videos with detected boxes that are not there, left out; first elsewhere" in caplog.text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"b_1,0903,{BOX},3,0.5", "line 2: class '3'; expected none: detected boxes have a score"),
        (f"b_1,0903,{BOX},,1.5", "line 2: score '1.5'; expected a number of 0 to 1"),
        (f"b_1,0903,{BOX},,", "line 2: score ''"),
        (f"b_1,0903,{BOX},,nan", "line 2: score 'nan'"),
        (f"b_1,0903,{BOX},0.5", "line 2: 7 fields; expected 8"),
        (f"b_1,1799,{BOX},,0.5", "line 2: second '1799'"),
        ("b_1,0903,0.1,0.1,1.1,0.2,,0.5", "line 2: box .* each of 0 to 1$"),
        ("b_1,0903,0.3,0.1,0.2,0.2,,0.5", "line 2: box"),
        ("b_1,0903,0.1,0.3,0.2,0.2,,0.5", "line 2: box"),
    ],
)
def test_a_broken_detected_box_is_named(root, row, said):
    (root / "ava_val_predicted_boxes.csv").write_text(f"b_1,0904,{BOX},,0.5\n{row}\n")
    with pytest.raises(ValueError, match=rf"ava_val_predicted_boxes\.csv: {said}"):
        detections(root, CARD)


def test_a_detected_box_without_area_passes_for_who_lists_it(root, tmp_path):
    """The job that reads them writes such boxes to failures.csv."""
    flat, good = "b_1,0903,0.1,0.1,0.1,0.2,,0.5", f"b_1,0904,{BOX},,0.5"
    (root / "ava_val_predicted_boxes.csv").write_text(f"{flat}\n{good}\n")
    assert detections(root, CARD)["box_xyxy"].tolist()[0] == [0.1, 0.1, 0.1, 0.2]
    entry = Entry(path="b_1.mp4", video_id="b_1", size=1, sha256="0" * 64)
    Manifest(release="ava", root=str(root), files=[entry]).write(tmp_path / "shard000.json")
    asked = {"dataset": "ava21", "classes": [], "keep": 0.0, "top": None}
    files = {
        f"{kind}_out": tmp_path / name
        for kind, name in (("table", "t.parquet"), ("features", "f.npy"), ("failures", "failures.csv"))
    }
    read_detections(detector=asked, root=root, manifest=tmp_path / "shard000.json", **files)
    assert pq.read_table(files["table_out"])["time_s"].to_pylist() == [904.0]
    (failure,) = read_failures(files["failures_out"])
    assert (failure[0], failure[2]) == ("b_1", "box [0.1, 0.1, 0.1, 0.2] at 903 s has no area")


def test_a_release_without_detected_boxes_is_named(root):
    with pytest.raises(
        ValueError, match=r"no detected boxes; expected rows in ava_<split>_predicted_boxes\.csv"
    ):
        detections(root, CARD)
