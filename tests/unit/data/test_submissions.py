"""Files for servers: every row by hand, in each data set's own form, and what cannot be sent."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from retake.data.submissions import write_submission
from tests.unit.training.small_stage import write_annotations

LIST = 'item {{\n  name: "{}"\n  id: {}\n}}\n'
BOX, OTHER = [0.1, 0.2, 0.5, 0.75], [0.0, 0.0, 1.0, 1.0]


def annotated(path, rows):
    """(split, item, video, start, labels) each."""
    names = ("split", "item_id", "video_id", "start_s", "labels")
    return write_annotations(path, [dict(zip(names, row, strict=True)) | {"ref_id": row[1]} for row in rows])


def predicted(path, rows):
    names = ("item_id", "scores", "box_xyxy")
    pd.DataFrame([dict(zip(names, row, strict=False)) for row in rows]).to_parquet(path, index=False)
    return path


def written(tmp_path, dataset, split, parts):
    """parts: data set -> (rows of its annotations, rows of its predictions)."""
    out = tmp_path / "sent/out"
    tables = {name: annotated(tmp_path / f"{name}.parquet", rows) for name, (rows, _) in parts.items()}
    answers = {name: predicted(tmp_path / f"{name}.p.parquet", rows) for name, (_, rows) in parts.items()}
    write_submission(
        dataset=dataset, split=split, root=tmp_path, predictions=answers, annotations=tables, out=out
    )
    return out.read_text()


# --- boxes of keyframes ------------------------------------------------------------------------------------

KEYFRAMES = [
    ("test", "-x,0902", "-x", 902.0, None),
    ("test", "-x,0903", "-x", 903.0, None),
    ("val", "y,0902", "y", 902.0, [0]),
]


@pytest.fixture
def evaluated(tmp_path):
    """Two classes that are numbered 3 and 79."""
    text = LIST.format("sit", 3) + LIST.format("read", 79)
    (tmp_path / "ava_action_list_v2.1_for_activitynet_2018.pbtxt").write_text(text)
    return tmp_path


def test_a_row_is_a_class_of_a_box_by_its_number_in_the_list(evaluated, caplog):
    answers = [("-x,0903", [0.25, 1.0], BOX), ("-x,0903", [0.125, 0.5], OTHER)]
    assert written(evaluated, "ava21", "test", {"ava21": (KEYFRAMES, answers)}).splitlines() == [
        "-x,0903,0.100000,0.200000,0.500000,0.750000,3,0.25",
        "-x,0903,0.100000,0.200000,0.500000,0.750000,79,1",
        "-x,0903,0.000000,0.000000,1.000000,1.000000,3,0.125",
        "-x,0903,0.000000,0.000000,1.000000,1.000000,79,0.5",
    ]
    assert "ava21 test: 1 of 2 items have no answer; first -x,0902" in caplog.text


def test_scores_of_other_classes_and_items_of_another_split_are_named(evaluated):
    with pytest.raises(ValueError, match=r"ava21.p.parquet: scores of 3 classes; 2 are evaluated"):
        written(evaluated, "ava21", "test", {"ava21": (KEYFRAMES, [("-x,0903", [0.1, 0.2, 0.3], BOX)])})
    with pytest.raises(ValueError, match=r"ava21.p.parquet: item 'y,0902' is not of split 'test' of ava21"):
        written(evaluated, "ava21", "test", {"ava21": (KEYFRAMES, [("y,0902", [0.1, 0.2], BOX)])})


# --- verbs, nouns and actions ------------------------------------------------------------------------------


def readings(pairs, tests=("12", "9")):
    """Annotation rows of the three readings: labelled segments of the pairs in order, and a test's."""
    found = {}
    for n, name in enumerate(("epic_verb", "epic_noun", "epic_action")):
        labelled = [("train", str(100 + i), "v", float(i), [(*pair, i)[n]]) for i, pair in enumerate(pairs)]
        found[name] = labelled + [("test_s1", item, "v", 0.0, None) for item in tests]
    return found


def test_segments_have_verbs_nouns_and_actions_as_pairs_the_best_first(tmp_path):
    rows = readings([(0, 2), (1, 0)])
    parts = {
        "epic_action": (rows["epic_action"], [("12", [0.25, 0.5]), ("9", [0.75, 0.125])]),
        "epic_verb": (rows["epic_verb"], [("9", [0.75, 0.25]), ("12", [0.0, 1.0])]),
        "epic_noun": (rows["epic_noun"], [("9", [0.5, 0.25, 0.25]), ("12", [0.0, 0.0, 1.0])]),
    }
    said = json.loads(written(tmp_path, "epic_action", "test_s1", parts))
    assert (said["version"], said["challenge"]) == ("0.1", "action_recognition")
    assert list(said["results"]) == ["9", "12"], "by number"
    assert said["results"]["9"] == {
        "verb": {"0": 0.75, "1": 0.25},
        "noun": {"0": 0.5, "1": 0.25, "2": 0.25},
        "action": {"0,2": 0.75, "1,0": 0.125},
    }
    assert list(said["results"]["12"]["action"].items()) == [("1,0", 0.5), ("0,2", 0.25)]


def test_of_many_actions_the_hundred_best_are_told(tmp_path):
    pairs = [(n // 15, n % 15) for n in range(150)]
    rows, scores = readings(pairs, ("1",)), [((n * 37) % 150) / 150 for n in range(150)]
    parts = {
        "epic_action": (rows["epic_action"], [("1", scores)]),
        "epic_verb": (rows["epic_verb"], [("1", [0.1] * 10)]),
        "epic_noun": (rows["epic_noun"], [("1", [0.1] * 15)]),
    }
    told = json.loads(written(tmp_path, "epic_action", "test_s1", parts))["results"]["1"]["action"]
    assert len(told) == 100
    assert sorted(told.values()) == sorted(scores)[50:]
    assert all(
        told[f"{v},{n}"] == scores[pairs.index((v, n))] for v, n in (map(int, k.split(",")) for k in told)
    )


def test_actions_without_their_verbs_or_with_other_items_are_named(tmp_path):
    rows = readings([(0, 0)], ("1", "2"))
    action = (rows["epic_action"], [("1", [1.0]), ("2", [1.0])])
    with pytest.raises(ValueError, match="answers of epic_action; expected actions that are fused of verbs"):
        written(tmp_path, "epic_action", "test_s1", {"epic_action": action})
    verb = (rows["epic_verb"], [("1", [1.0])])
    with pytest.raises(
        ValueError, match=r"epic_verb.p.parquet: no item '2', which .*epic_action.p.parquet has"
    ):
        written(tmp_path, "epic_action", "test_s1", {"epic_action": action, "epic_verb": verb})


# --- whole videos ------------------------------------------------------------------------------------------


def test_a_video_is_a_line_of_its_id_and_all_scores(tmp_path):
    rows = [("test", v, v, 0.0, [0]) for v in ("ABCDE", "12345")]
    answers = [("12345", [0.5, 1e-7, 1.0]), ("ABCDE", [0.0, 0.25, 0.125])]
    text = written(tmp_path, "charades", "test", {"charades": (rows, answers)})
    assert text == "12345 0.5 1e-07 1\nABCDE 0 0.25 0.125\n"


def test_the_same_answers_give_the_same_bytes(evaluated):
    parts = {"ava21": (KEYFRAMES, [("-x,0903", [0.3, 0.7], BOX)])}
    assert written(evaluated, "ava21", "test", parts) == written(evaluated, "ava21", "test", parts)
    assert pq.read_table(evaluated / "ava21.parquet").num_rows == 3
