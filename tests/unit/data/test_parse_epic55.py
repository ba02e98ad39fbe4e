"""EPIC-KITCHENS-55's files in small: one table of segments, three readings of it."""

import csv
from collections import Counter

import pandas as pd
import pytest

from retake.data.datasets.epic55 import mini
from retake.data.datasets.epic55.parse import parse
from retake.data.mini_release import MiniPlan
from retake.data.release import CARDS
from retake.miniworld import World, boxes
from retake.schema.card import read_card

READINGS = ("epic_verb", "epic_noun", "epic_action")
CARD = {name: read_card(CARDS / name / "card.yaml") for name in ("epic55", *READINGS)}
VERBS = "verb_id,class_key,verbs\n0,take,\"['take', 'pick-up']\"\n1,turn-on,['turn-on']\n2,decide-if,['decide-if']\n"
NOUNS = (
    "noun_id,class_key,nouns\n0,Nothing,['Nothing']\n1,tap,\"['tap', 'tap:cold']\"\n2,pan:dust,['pan:dust']\n"
)
HEADER = ",".join(mini.HEADER) + "\n"
TIMES = ("00:00:01.50", "01:02:03.25")


def row(uid=0, person="P01", video="P01_01", times=TIMES, verb="0", noun="1") -> str:
    said = "take,it" if uid == 3 else "take it"
    narration = f'"{said}"' if "," in said else said
    return f"{uid},{person},{video},{narration},{','.join(times)},90,195,take,{verb},tap,{noun},\"['tap', 'pan']\",\"[1, 2]\"\n"


def test_row(uid: int, video: str) -> str:
    return f"{uid},{video[:3]},{video},00:00:00.00,00:00:01.00,1,60\n"


test_row.__test__ = False  # type: ignore[attr-defined]
TEST_HEADER = "uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame\n"
ROWS = (
    row(0)
    + row(7, "P26", "P26_02", verb="1", noun="2")
    + row(3, "P25", "P25_11", verb="1", noun="1")
    + row(9, "P31", "P31_01", verb="0", noun="1")
)


@pytest.fixture
def root(tmp_path):
    for video in ("P01/P01_01", "P25/P25_11", "P26/P26_02", "P31/P31_01"):
        path = tmp_path / "videos" / "train" / f"{video}.MP4"
        path.parent.mkdir(parents=True)
        path.touch()
    files(tmp_path, verb_classes=VERBS, noun_classes=NOUNS, train_action_labels=HEADER + ROWS)
    return tmp_path


def files(root, **texts: str) -> None:
    (root / "annotations").mkdir(exist_ok=True)
    for name, text in texts.items():
        (root / "annotations" / f"EPIC_{name}.csv").write_text(text)


def read(root, name="epic_verb") -> pd.DataFrame:
    return parse(root, CARD[name])


def found(root, name) -> list[tuple]:
    table = read(root, name)
    titles = table["text_out"].astype(object).where(table["text_out"].notna(), None)
    labels = [None if one is None else list(one) for one in table["labels"]]
    return list(zip(table["split"], table["item_id"], labels, titles, strict=True))


def test_the_cards_state_the_published_counts():
    """METHODS 2.3: 23,191 + 5,281 of 28,472 labelled rows; INDEX of real files: 8,047 and 2,929 of the two tests."""
    assert CARD["epic55"].splits == {"train": 23191, "val": 5281, "test_s1": 8047, "test_s2": 2929}
    assert 23191 + 5281 == 28472
    assert [CARD[name].counts["classes"] for name in READINGS] == [125, 352, 2513]
    assert all(CARD[name].release == "epic55" and CARD[name].tasks == ["classify"] for name in READINGS)


def test_a_segment_is_one_item_in_all_three_readings(root):
    verbs, nouns, actions = (found(root, name) for name in READINGS)
    assert verbs == [
        ("train", "0", [0], "take"),
        ("val", "7", [1], "turn-on"),
        ("train", "3", [1], "turn-on"),
        ("val", "9", [0], "take"),
    ]
    assert [one[2:] for one in nouns] == [([1], "tap"), ([2], "pan:dust"), ([1], "tap"), ([1], "tap")]
    # the pairs that occur, sorted: (0, 1), (1, 1), (1, 2)
    assert [one[2:] for one in actions] == [
        ([0], "take tap"),
        ([2], "turn-on pan:dust"),
        ([1], "turn-on tap"),
        ([0], "take tap"),
    ]
    table = read(root)
    assert [one[:2] for one in verbs] == [one[:2] for one in nouns] == [one[:2] for one in actions]
    assert table[["video_id", "start_s", "end_s"]].iloc[0].tolist() == ["P01_01", 1.5, 3723.25]
    assert set(table["task"]) == {"classify"}
    assert set(table["label_set"]) == {"epic_verb"}


def test_persons_to_25_are_train_and_those_to_31_val(root):
    assert [split for split, *_ in found(root, "epic_noun")] == ["train", "val", "train", "val"]
    files(root, train_action_labels=HEADER + row(1, "P32", "P32_01"))
    with pytest.raises(ValueError, match=r"line 2: person 32; expected 1 to 25, train, or 31, val"):
        read(root)


def test_segments_of_the_tests_have_no_labels_and_absent_videos_are_counted(root, caplog):
    (root / "videos" / "P01_12.MP4").touch()
    (root / "videos" / "P02_09.MP4").touch()
    files(root, test_s1_timestamps=TEST_HEADER + test_row(20, "P01_12") + test_row(21, "P01_13"))
    files(root, test_s2_timestamps=TEST_HEADER + test_row(30, "P33_01"))
    for name in READINGS:
        assert found(root, name)[4:] == [("test_s1", "20", None, None)]
    assert "epic55: 2 test videos that are not there, left out; first P01_13, P33_01" in caplog.text
    assert "epic55: 1 videos that no list names, left out; first P02_09" in caplog.text


def test_a_segment_that_starts_after_its_video_is_an_error_and_one_that_ends_there_is_none(root):
    files(root, video_info="video,resolution,duration,fps\nP01_01,80x60,1.6,6\nP25_11,80x60,10.0,6\n")
    assert len(read(root)) == 4
    files(root, video_info="video,resolution,duration,fps\nP01_01,80x60,1.50,6\n")
    with pytest.raises(ValueError, match=r"labels\.csv: line 2: starts at 1\.5 s; P01_01 ends at 1\.5 s"):
        read(root)
    files(root, video_info="video,resolution,duration,fps\nP01_01,80x60,soon,6\n")
    with pytest.raises(ValueError, match=r"video_info\.csv: line 2: duration 'soon'; expected seconds"):
        read(root)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            row(times=("00:00:02.00", "00:00:01.00")),
            "line 2: '00:00:02.00' to '00:00:01.00'; expected two times",
        ),
        (
            row(times=("00:00:02.00", "00:00:02.00")),
            "line 2: '00:00:02.00' to '00:00:02.00'; .* the second one later",
        ),
        (
            row(times=("00:61:02.00", "02:00:02.00")),
            r"line 2: '00:61:02.00' to .* expected two times hh:mm:ss\.ff",
        ),
        (row(times=("2.5", "3.5")), "line 2: '2.5' to '3.5'"),
        (row(verb="3"), "line 2: verb_class '3'; its list has classes 0 to 2"),
        (row(noun="-1"), "line 2: noun_class '-1'; its list has classes 0 to 2"),
        (row(verb=""), "line 2: verb_class ''"),
        (row(verb="²"), "line 2: verb_class '²'"),
        (row(uid="x"), "line 2: uid 'x', 'P01', 'P01_01'; expected a number, P<nn> and"),
        (row(person="P02"), "line 2: uid '0', 'P02', 'P01_01'"),
        (row(person="1"), "line 2: uid '0', '1', 'P01_01'"),
        (row(0) + row(0, "P25", "P25_11"), r"line 3: uid 0 stands twice \(before: .*line 2\)"),
        (row(video="P01_02"), "line 2: no video P01_02 in the release"),
        ("0,P01\n", "line 2: 2 fields; expected 14"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(root, line, said):
    files(root, train_action_labels=HEADER + line)
    with pytest.raises(ValueError, match=rf"EPIC_train_action_labels\.csv: {said}"):
        read(root, "epic_noun")


@pytest.mark.parametrize("text", [VERBS + "4,put,['put']\n", VERBS + "3,take,[]\n", VERBS + "3,,[]\n"])
def test_a_broken_list_of_classes_is_named_by_its_line(root, text):
    files(root, verb_classes=text)
    with pytest.raises(
        ValueError, match=r"EPIC_verb_classes\.csv: line 5: verb_id .*; expected 3 and a name that"
    ):
        read(root, "epic_action")


def test_a_card_that_asks_for_no_labels_of_the_release_is_an_error(root):
    for card in (CARD["epic55"], CARD["epic_verb"].model_copy(update={"labels": "adverb"})):
        with pytest.raises(
            ValueError, match="epic55 has three readings; expected a card that says labels and media"
        ):
            parse(root, card)


def test_a_missing_table_is_named(root):
    (root / "annotations/EPIC_noun_classes.csv").unlink()
    with pytest.raises(ValueError, match="no list of noun classes; expected one of EPIC_noun_classes.csv"):
        read(root)


# --- the mini release ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films():
    plan = MiniPlan("epic55", dict(CARD["epic55"].mini.splits), mini.OPTIONS, 2)
    options = {name: value for name, value in mini.OPTIONS.items() if name in World.__dataclass_fields__}
    return [film for film in mini._films(World(**options), plan) if film.split in mini.LABELLED]


def test_mini_videos_have_eight_segments_of_two_objects_one_after_the_other(films):
    assert [sum(f.person <= "P25" for f in films), sum(f.person > "P25" for f in films)] == [12, 6]
    for film in films:
        assert len(film.done) == 8
        assert 40 <= film.done[-1].end <= 60
        assert len({one.noun for one in film.done[:4]}) == len({one.noun for one in film.done[4:]}) == 1
        assert len({one.noun for one in film.done}) == 2
        assert all(a.end == b.start for a, b in zip(film.done, film.done[1:], strict=False))


def test_a_hidden_object_is_in_no_frame_and_the_others_are_in_each(films):
    hidden = [one for film in films for one in film.done if one.hidden]
    assert 0.2 < len(hidden) / 144 < 0.35
    assert {one.verb for one in hidden} == set(mini.MOTIONS)
    for one in films[0].done + films[1].done:
        assert all(("object" in frame) != one.hidden for frame in boxes(one.clip))
    for film in films:  # it is seen elsewhere in the video, so that its features can be remembered
        shown = {one.noun for one in film.done if not one.hidden}
        assert {one.noun for one in film.done if one.hidden} <= shown


def test_every_class_that_is_tested_is_trained_on(films):
    for kind in ("verb", "noun"):
        counts = {
            split: Counter(
                getattr(one, kind) for f in films if (f.person <= "P25") == split for one in f.done
            )
            for split in (True, False)
        }
        assert set(counts[False]) <= set(counts[True])
        assert min(counts[True].values()) >= 4
    assert (
        len({(one.verb, one.noun) for f in films for one in f.done})
        == CARD["epic_action"].mini.counts["classes"]
    )
    assert len(mini.VERBS) == CARD["epic_verb"].mini.counts["classes"]
    assert len(mini.NOUNS) == CARD["epic_noun"].mini.counts["classes"]


def test_the_mini_table_has_the_release_s_columns(tmp_path):
    plan = MiniPlan("epic55", {"train": 8, "val": 4, "test_s1": 8, "test_s2": 3}, mini.OPTIONS, 1)
    mini.annotate(World(seed=1), tmp_path, plan)
    for split, person, uids in (("test_s1", "P01", range(12, 20)), ("test_s2", "P32", range(20, 23))):
        with (tmp_path / f"annotations/EPIC_{split}_timestamps.csv").open(newline="") as file:
            tests = list(csv.DictReader(file))
        assert ",".join(tests[0]) == TEST_HEADER.strip()
        assert [row["uid"] for row in tests] == [str(n) for n in uids]
        assert {row["participant_id"] for row in tests} == {person}
    with (tmp_path / "annotations/EPIC_train_action_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == (
        "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,"
        "noun,noun_class,all_nouns,all_noun_classes"
    )
    assert [row["uid"] for row in rows] == [str(n) for n in range(12)]
    assert all(row["all_noun_classes"] == f"[{row['noun_class']}]" for row in rows)
    assert {row["participant_id"] for row in rows} == {"P01", "P26"}


@pytest.mark.parametrize(
    ("time", "said"), [(0, "00:00:00.00"), (59.999, "00:00:59.99"), (3723.25, "01:02:03.25")]
)
def test_times_are_written_as_the_release_does(time, said):
    assert mini._stamp(time) == said
