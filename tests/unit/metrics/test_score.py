"""From a prediction table to a metrics file: what is counted, what is written, what is refused."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.metrics import captioning
from retake.metrics.score import _whole, score
from retake.report.bootstrap import mean_of
from retake.report.claims import _statistics
from retake.schema.metrics_file import MetricsFile

PROVENANCE = {
    "method": "etenet",
    "variant": "step1",
    "dataset": "msvd",
    "split": "test",
    "protocol": "beam5",
    "seed": 1,
    "scale": "mini",
    "items_of": 4,
    "digests": {"checkpoint": "00"},
    "record": {"path": "record.jsonl", "digest": "11"},
}
CAPTIONS = {
    "v1": ["a dog runs", "the dog"],
    "v2": ["a cat sleeps"],
    "v3": ["birds sing"],
    "other": ["not this split"],
}
TRUTH = [
    {"video_id": "v1", "fact": "actor", "kind": "one_frame", "words": ["dog"]},
    {"video_id": "v2", "fact": "actor", "kind": "one_frame", "words": ["cat"]},
    {"video_id": "v2", "fact": "action", "kind": "motion", "words": ["sleeps"]},
]


@pytest.fixture(autouse=True)
def no_java(monkeypatch):
    monkeypatch.setattr(captioning, "tokenised", lambda texts: texts)


@pytest.fixture
def run(tmp_path):
    def scored(predictions, metrics, truth=None, annotations=None, name="test"):
        rows = annotations or [
            {
                "item_id": item,
                "video_id": item,
                "split": "train" if item == "other" else "test",
                "text_out": text,
                "labels": None,
            }
            for item, texts in CAPTIONS.items()
            for text in texts
        ]
        paths = {
            key: tmp_path / f"{name}_{key}.parquet"
            for key in ("predictions", "annotations", "truth", "items")
        }
        pq.write_table(pa.Table.from_pylist(predictions), paths["predictions"])
        pq.write_table(pa.Table.from_pylist(rows), paths["annotations"])
        if truth is not None:
            pq.write_table(pa.Table.from_pylist(truth), paths["truth"])
        out = tmp_path / f"{name}.json"
        score(
            predictions=paths["predictions"],
            annotations=paths["annotations"],
            split="test",
            metrics=metrics,
            truth=None if truth is None else paths["truth"],
            provenance=PROVENANCE,
            out=out,
            items_out=paths["items"],
        )
        return out, paths["items"]

    return scored


def said(**captions):
    return [{"item_id": item, "text": text} for item, text in captions.items()]


def test_the_file_says_values_items_and_where_they_come_from(run):
    out, items = run(said(v2="a cat sleeps", v1="birds"), ["rouge_l", "cider"])
    file = json.loads(out.read_text())
    written = MetricsFile.read(out)
    assert {key: getattr(written, key) for key in PROVENANCE} == PROVENANCE
    assert (file["items"], file["items_of"]) == (2, 4)
    assert file["values"]["rouge_l"] == 0.5
    assert list(file) == sorted(file)
    assert out.read_text().endswith("}\n")
    table = pq.read_table(items).to_pydict()
    assert table["item_id"] == ["v1", "v2"]
    assert table["rouge_l"] == [0.0, 1.0]
    assert sum(table["cider"]) / 2 == pytest.approx(file["values"]["cider"], abs=1e-15)


def test_the_order_of_predictions_changes_no_byte(run):
    first = run(said(v1="a dog", v2="a cat", v3="birds"), ["bleu4", "cider"], name="first")
    second = run(said(v3="birds", v1="a dog", v2="a cat"), ["bleu4", "cider"], name="second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_facts_are_shares_by_kind_with_counts_for_each_item(run):
    out, items = run(said(v1="a dog", v2="a box sleeps", v3="x"), ["facts_one_frame", "facts_motion"], TRUTH)
    assert json.loads(out.read_text())["values"] == {"facts_one_frame": 0.5, "facts_motion": 1.0}
    table = pq.read_table(items).to_pydict()
    assert table["facts_one_frame_statistics"] == [[1, 1], [0, 1], [0, 0]]
    assert table["facts_motion_statistics"] == [[0, 0], [1, 1], [0, 0]]


def test_facts_belong_to_the_item_s_video(run):
    rows = [{"item_id": "q1", "video_id": "v1", "split": "test", "text_out": "x", "labels": None}]
    out, _ = run(said(q1="a dog"), ["facts_one_frame"], TRUTH, rows)
    assert json.loads(out.read_text())["values"] == {"facts_one_frame": 1.0}


def labelled(**labels):
    return [
        {"item_id": item, "video_id": item, "split": "test", "text_out": None, "labels": found}
        for item, found in labels.items()
    ]


def test_class_scores_are_scored(run):
    answers = [{"item_id": "a", "scores": [0.9, 0.1]}, {"item_id": "b", "scores": [0.8, 0.2]}]
    out, items = run(answers, ["top1", "map"], annotations=labelled(a=[0], b=[1]))
    # class 0: its one positive leads; class 1: its one positive leads too
    assert json.loads(out.read_text())["values"] == {"top1": 0.5, "map": 1.0}
    assert pq.read_table(items).to_pydict() == {"item_id": ["a", "b"], "top1": [1.0, 0.0]}


def test_precisions_are_those_of_the_items_that_have_a_label(run, caplog):
    scores = {"a": [0.9, 0.1], "b": [0.8, 0.2], "c": [0.7, 0.3], "d": [0.95, 0.4]}
    answers = [{"item_id": item, "scores": row} for item, row in scores.items()]
    out, items = run(answers, ["map", "wap"], annotations=labelled(a=[1], b=[0, 1], c=[0], d=[]))
    # of a, b, c; class 0 in the order a, b, c: hits at ranks 2 and 3; class 1 in the order c, b, a: the same
    assert json.loads(out.read_text())["values"] == {
        name: pytest.approx((1 / 2 + 2 / 3) / 2) for name in ("map", "wap")
    }
    assert "map: 1 of 4 items have no label, left out" in caplog.text
    assert pq.read_table(items).to_pydict() == {"item_id": ["a", "b", "c", "d"]}


def test_wap_and_map_differ_where_classes_come_unequally_often(run):
    scores = {"a": [0.9, 0.1], "b": [0.8, 0.2], "c": [0.7, 0.3]}
    answers = [{"item_id": item, "scores": row} for item, row in scores.items()]
    out, _ = run(answers, ["map", "wap"], annotations=labelled(a=[0, 1], b=[0], c=[0]))
    # class 0: 1 of three positives; class 1: its one positive comes last, 1/3
    values = json.loads(out.read_text())["values"]
    assert values == {"map": pytest.approx((1 + 1 / 3) / 2), "wap": pytest.approx((3 * 1 + 1 / 3) / 4)}


def test_no_item_with_a_label_is_an_error(run):
    with pytest.raises(ValueError, match="wap: none of 1 items has a label"):
        run([{"item_id": "a", "scores": [0.9, 0.1]}], ["wap"], annotations=labelled(a=[]))


def test_hits_of_classes_are_kept_for_each_item_so_that_a_claim_can_draw_items(run):
    answers = [{"item_id": f"v{n}", "scores": [float(k == n % 7) for k in range(8)]} for n in range(20)]
    labels = {f"v{n}": [n % 5] for n in range(20)}
    out, items = run(answers, ["top1", "top5"], annotations=labelled(**labels))
    table = pq.read_table(items).to_pandas()
    values = json.loads(out.read_text())["values"]
    for metric in ("top1", "top5"):
        assert set(table[metric]) == {0.0, 1.0}
        sums = _statistics(metric, table).sum(axis=0)
        assert mean_of(sums) == pytest.approx(values[metric], abs=1e-15)


@pytest.mark.parametrize(
    ("labels", "metric", "message"),
    [
        ({"a": [0, 1]}, "top1", "one label an item.*'a'"),
        ({"a": [5]}, "map", "item 'a' has label 5; there are scores of 2 classes"),
    ],
)
def test_labels_that_do_not_fit_are_named(run, labels, metric, message):
    with pytest.raises(ValueError, match=message):
        run([{"item_id": "a", "scores": [0.9, 0.1]}], [metric], annotations=labelled(**labels))


@pytest.mark.parametrize(
    ("predictions", "metrics", "truth", "message"),
    [
        (said(v1="a", other="b"), ["cider"], None, "1 items are not in split 'test'.*'other'"),
        (said(v1="a") * 2, ["cider"], None, "item 'v1' is answered twice"),
        (said(v1=None, v2="b"), ["cider"], None, "item 'v1' has no text"),
        ([{"item_id": "v1", "words": "a"}], ["cider"], None, "no column 'text'"),
        (said(v1="a"), ["spice"], None, "no metric 'spice'"),
        (said(v1="a"), ["cider", "cider"], None, "each once"),
        (said(v1="a"), [], None, "at least one"),
        (said(v1="a"), ["facts_motion"], None, "need a release with truth"),
        (said(v1="a"), ["facts_motion"], TRUTH, "facts_motion: none of 1 items has a fact"),
    ],
)
def test_what_cannot_be_scored_is_named_and_nothing_is_written(
    run, tmp_path, predictions, metrics, truth, message
):
    with pytest.raises(ValueError, match=message):
        run(predictions, metrics, truth)
    assert not (tmp_path / "test.json").exists()


def test_an_item_without_a_reference_is_named(run):
    rows = [{"item_id": "v1", "video_id": "v1", "split": "test", "text_out": None, "labels": None}]
    with pytest.raises(ValueError, match="without a reference: 'v1'"):
        run(said(v1="a dog"), ["cider"], annotations=rows)


def test_a_result_that_is_no_number_is_refused(run, monkeypatch):
    broken = captioning.CaptionScores({"cider": float("nan")}, {"cider": [0.0]})
    monkeypatch.setattr(captioning, "score_captions", lambda *_: {"predictions": broken})
    with pytest.raises(ValueError, match="cider is nan"):
        run(said(v1="a dog"), ["cider"])


def test_what_is_true_of_a_part_of_a_video_scores_no_answer(tmp_path):
    rows = {
        "video_id": ["a", "a"],
        "fact": ["actor", "place"],
        "kind": ["one_frame"] * 2,
        "words": [["cat"], ["sea"]],
    }
    pq.write_table(pa.table(rows), tmp_path / "old.parquet")
    assert [row["fact"] for row in _whole(tmp_path / "old.parquet")] == ["actor", "place"]
    times = {name: pa.array([None, time], pa.float64()) for name, time in (("start_s", 0.0), ("end_s", 8.0))}
    pq.write_table(pa.table(rows | times), tmp_path / "new.parquet")
    assert [row["fact"] for row in _whole(tmp_path / "new.parquet")] == ["actor"]


LEFT, RIGHT = [0.0, 0.0, 0.4, 1.0], [0.6, 0.0, 1.0, 1.0]


def keyframes(**truth):
    """Rows of the split: item -> (box, labels) pairs; none is a keyframe without a box."""
    rows = [
        {
            "item_id": item,
            "video_id": "v",
            "split": "test",
            "text_out": None,
            "labels": labels,
            "box_xyxy": box,
        }
        for item, pairs in truth.items()
        for box, labels in pairs or [(None, [])]
    ]
    return [*rows, {**rows[0], "item_id": "other", "split": "train"}]


def boxed(*rows):
    return [{"item_id": item, "box_xyxy": box, "scores": scores} for item, box, scores in rows]


# class 0: LEFT of a, RIGHT of b; class 1: RIGHT of a and of b; class 2: LEFT of a
DONE = keyframes(a=[(LEFT, [0, 2]), (RIGHT, [1])], b=[(RIGHT, [0, 1])], c=None)
SEEN = boxed(
    ("a", LEFT, [0.9, 0.1, 0.3]),
    ("a", RIGHT, [0.2, 0.6, 0.1]),
    ("b", RIGHT, [0.4, 0.7, 0.2]),
    ("c", LEFT, [0.8, 0.0, 0.4]),
)
# class 0 in the order a, c, b, a: ranks 1 and 3; class 1: b, a: 1; class 2: c, a: 1/2
OF_CLASS = [(1 + 2 / 3) / 2, 1.0, 0.5]
KINDS = [
    {"video_id": video, "fact": f"class {name}", "kind": kind, "value": value, "start_s": 1.0, "end_s": 2.0}
    for video in ("v", "w")
    for name, kind, value in (("sit", "one_frame", "0"), ("wait", "far15", "1"), ("stay", "far15", "2"))
]


def test_boxes_are_scored_by_class_and_by_kind_of_class(run):
    out, items = run(SEEN, ["map", "ap_one_frame", "ap_far15"], KINDS, DONE)
    file = json.loads(out.read_text())
    assert file["values"] == {
        "map": pytest.approx(sum(OF_CLASS) / 3),
        "ap_one_frame": pytest.approx(OF_CLASS[0]),
        "ap_far15": pytest.approx(sum(OF_CLASS[1:]) / 2),
    }
    assert file["items"] == 3
    assert pq.read_table(items).to_pydict() == {"item_id": ["a", "b", "c"]}


def test_the_order_of_boxes_of_different_items_changes_nothing(run):
    first = run(SEEN, ["map"], annotations=DONE, name="first")
    second = run(SEEN[::-1], ["map"], annotations=DONE, name="second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_what_is_there_in_an_item_without_a_box_is_not_found(run, caplog):
    out, _ = run(SEEN[:2], ["map"], annotations=DONE)
    # class 0 finds one of two, class 1 too, class 2 its one
    file = json.loads(out.read_text())
    assert file["values"] == {"map": pytest.approx((0.5 + 0.5 + 1) / 3)}
    assert file["items"] == 1
    assert "2 of 3 items have no box, first b" in caplog.text
    empty = boxed(("b", [], []), ("c", [], []))
    out, _ = run(SEEN[:2] + empty, ["map"], annotations=DONE, name="looked")
    looked = json.loads(out.read_text())
    assert (looked["values"], looked["items"]) == (file["values"], 3)


@pytest.mark.parametrize(
    ("rows", "metrics", "truth", "message"),
    [
        (boxed(("other", LEFT, [0.1])), ["map"], None, "1 boxes are of no item of split 'test' of .*'other'"),
        (
            boxed(("a", LEFT, [0.1]), ("b", LEFT, [0.1, 0.2])),
            ["map"],
            None,
            r"numbers of class scores: \[1, 2\]",
        ),
        (
            boxed(("a", LEFT, [0.1, 0.2])),
            ["map"],
            None,
            "item 'a' has label 2; there are scores of 2 classes",
        ),
        (boxed(("b", [0.5, 0, 0.5, 1], [0.1] * 3)), ["map"], None, "item 'b': box .*; expected left, top"),
        (boxed(("b", [0.5, 0, 1], [0.1] * 3)), ["map"], None, "item 'b': box .*; expected left, top"),
        (
            boxed(("b", LEFT, [0.1, float("nan"), 0])),
            ["map"],
            None,
            "a box of item 'b' has a score that is no number",
        ),
        (
            boxed(("b", None, [0.1] * 3), ("a", LEFT, [0.1] * 3)),
            ["map"],
            None,
            "a box of item 'b' has no box_xyxy",
        ),
        (boxed(("a", [], [])), ["map"], None, "map: none of 3 items has a box in the predictions"),
        ([{"item_id": "a", "box_xyxy": LEFT}], ["map"], None, "no column 'scores'"),
        (SEEN, ["ap_far15"], None, "ap_far15 needs a release with truth"),
        (SEEN, ["ap_far5"], KINDS, r"no class of that kind; have \['far15', 'one_frame'\]"),
        (SEEN, ["top1"], None, "the predictions are boxes; metric 'top1' does not score such"),
        (
            said(a="x"),
            ["ap_far5"],
            None,
            "the predictions are no boxes; metric 'ap_far5' does not score such",
        ),
    ],
)
def test_boxes_that_cannot_be_scored_are_named(run, rows, metrics, truth, message):
    with pytest.raises(ValueError, match=message):
        run(rows, metrics, truth, DONE)


def test_a_split_without_a_box_of_truth_is_an_error(run):
    with pytest.raises(ValueError, match="map: none of 1 items has a box with a label"):
        run(SEEN[:1], ["map"], annotations=keyframes(a=[(LEFT, [])]))


def test_a_class_told_by_a_kind_without_truth_in_the_split_is_named(run):
    with pytest.raises(ValueError, match="ap_one_frame: none of 1 classes has a box of truth"):
        run(SEEN[:1], ["ap_one_frame"], KINDS, keyframes(a=[(LEFT, [1])]))
