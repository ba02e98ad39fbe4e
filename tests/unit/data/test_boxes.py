"""Boxes of keyframes: overlaps, labels of detections, what a cut leaves, tables that are wrong."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.data import boxes as module
from retake.data.boxes import Boxes, Keyframes, cut_to, detections, matched, overlaps, truth_of

SETTINGS = {"truth": True, "detector": "persons", "min_score": 0.9, "match_iou": 0.5, "one_class": False}
HALF = [0.0, 0.0, 0.5, 1.0]

sixteenths = st.integers(0, 16)
box = st.tuples(sixteenths, sixteenths, sixteenths, sixteenths).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
some_boxes = st.lists(box, max_size=5)


def array(found):
    return np.array(found, dtype=np.float64).reshape(-1, 4) / 16


def literal_overlap(a, b):
    """Cells of a 16 x 16 grid that lie in both boxes, over those in either."""
    cells = [{(x, y) for x in range(c[0], c[2]) for y in range(c[1], c[3])} for c in (a, b)]
    either = cells[0] | cells[1]
    return len(cells[0] & cells[1]) / len(either) if either else 0.0


@given(some_boxes, some_boxes)
def test_overlaps_are_those_of_counted_cells(some, others):
    found = overlaps(array(some), array(others))
    assert found.shape == (len(some), len(others))
    for n, m in np.ndindex(found.shape):
        assert found[n, m] == pytest.approx(literal_overlap(some[n], others[m]))


@given(some_boxes, some_boxes, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_a_detection_has_the_labels_of_the_box_that_it_meets_best(found, truth, at_least):
    """Box by box: the first of those that are met best, where it is met well enough."""
    labels = tuple((n, n + 10) for n in range(len(truth)))
    for one, got in zip(found, matched(array(found), Boxes(array(truth), labels), at_least), strict=True):
        best, wanted = -1.0, ()
        for other, classes in zip(truth, labels, strict=True):
            if (over := literal_overlap(one, other)) > best:
                best, wanted = over, classes
        assert got == (wanted if best >= at_least else ())


def literal_cut(one, frame, part, mirror):
    """What is left of one box, number by number; None: nothing."""
    (height, width), (top, left, rows, columns) = frame, part
    x0, x1 = (min(max((x * width - left) / columns, 0.0), 1.0) for x in (one[0], one[2]))
    y0, y1 = (min(max((y * height - top) / rows, 0.0), 1.0) for y in (one[1], one[3]))
    if x1 - x0 < 1e-6 or y1 - y0 < 1e-6:
        return None
    return (1 - x1, y0, 1 - x0, y1) if mirror else (x0, y0, x1, y1)


@given(some_boxes, st.integers(8, 40), st.integers(8, 40), st.data(), st.booleans())
def test_a_cut_leaves_of_each_box_what_lies_in_it(found, height, width, data, mirror):
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - rows)), data.draw(st.integers(0, width - columns))
    part = (top, left, rows, columns)
    kept, shown = cut_to(array(found), (height, width), part, mirror=mirror)
    wanted = [literal_cut(one, (height, width), part, mirror) for one in array(found)]
    assert kept.tolist() == [n for n, one in enumerate(wanted) if one is not None]
    assert shown == pytest.approx(np.array([one for one in wanted if one is not None]).reshape(-1, 4))


def test_cut_by_hand():
    """A frame of 100 x 200, of which the square of 100 from column 50 on is shown."""
    boxes = np.array(
        [[0.0, 0.0, 0.5, 1.0], [0.3, 0.2, 0.5, 0.6], [0.0, 0.0, 0.25, 1.0], [0.8, 0.1, 0.8, 0.9]]
    )
    kept, shown = cut_to(boxes, (100, 200), (0, 50, 100, 100), mirror=False)
    assert kept.tolist() == [0, 1]  # the third only touches the edge, the fourth has no area
    assert shown == pytest.approx(np.array([[0, 0, 0.5, 1.0], [0.1, 0.2, 0.5, 0.6]]))
    _, mirrored = cut_to(boxes, (100, 200), (0, 50, 100, 100), mirror=True)
    assert mirrored[1].tolist() == pytest.approx([0.5, 0.2, 0.9, 0.6])


def row(box_xyxy, labels=(), name="v,0001,0"):
    return {"ref_id": name, "box_xyxy": box_xyxy, "labels": None if labels is None else list(labels)}


def test_labelled_boxes_are_those_of_an_items_rows():
    truth = truth_of([row(HALF, [3, 1]), row([0.25, 0.25, 1.0, 0.75], None)], "t.parquet")
    assert truth.xyxy.tolist() == [HALF, [0.25, 0.25, 1.0, 0.75]]
    assert truth.labels == ((3, 1), ())
    assert truth_of([row(None)], "t.parquet").xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    "wrong", [[0.5, 0.0, 0.2, 1.0], [0.0, 0.9, 1.0, 0.1], [0.0, 0.0, 20.0, 30.0], [-0.2, 0.0, 1.0, 1.0],
              [0.0, float("nan"), 1.0, 1.0], [0.5, 0.1, 0.5, 0.9], [0.5, 0.9, 0.7, 0.9], [-0.0009, 0.0, -0.0001, 1.0]],
)  # fmt: skip
def test_a_box_that_is_none_is_named_with_its_row(wrong):
    with pytest.raises(
        ValueError,
        match=r"t.parquet: v,0001,0: box 0 is .*expected (left, top, right, bottom|one of some area)",
    ):
        truth_of([row(wrong)], "t.parquet")
    with pytest.raises(ValueError, match=r"t.parquet: v,0001,0: expected boxes of four numbers"):
        truth_of([row(wrong[:3])], "t.parquet")


def test_a_coordinate_that_is_rounded_over_the_edge_is_cut_to_it():
    assert truth_of([row([-0.0005, 0.0, 1.0005, 1.0])], "t").xyxy.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def table(path, rows, **changes):
    columns = {
        "video_id": [r[0] for r in rows], "time_s": [r[1] for r in rows], "score": [r[2] for r in rows],
        "box_xyxy": [r[3] for r in rows], "label": ["person" for _ in rows],
    }  # fmt: skip
    kept = {name: column for name, column in (columns | changes).items() if column is not None}
    pq.write_table(pa.table(kept), path)
    return path


def boxed(n):
    return [n / 100, 0.0, 1.0, 1.0]


def test_detections_are_read_by_moment_surest_first_and_no_others_are_kept(tmp_path):
    path = table(tmp_path / "d.parquet", [
        ("a", 1.0, 0.91, boxed(0)), ("a", 1.0, 0.95, boxed(1)), ("a", 1.0, 0.89, boxed(2)), ("a", 2.0, 0.99, boxed(3)),
        ("b", 1.0, 0.9, boxed(4)), ("a", 1.0000001, 0.91, boxed(5)),
    ])  # fmt: skip
    found = detections(path, {("a", 1000), ("b", 1000), ("c", 1000)}, 0.9)
    assert {at: boxes.tolist() for at, boxes in found.items()} == {
        ("a", 1000): [boxed(1), boxed(0), boxed(5)],
        ("b", 1000): [boxed(4)],
    }


def test_a_table_of_detections_that_is_wrong_is_named_with_its_row(tmp_path):
    good = ("a", 1.0, 0.95, boxed(1))
    path = table(tmp_path / "d.parquet", [good, ("a", 1.0, 0.99, [0.5, 0.0, 0.2, 1.0])])
    with pytest.raises(ValueError, match=r"d.parquet: row 1: box 0 is \[0.5"):
        detections(path, {("a", 1000)}, 0.9)
    path = table(tmp_path / "d.parquet", [good, ("a", 1.0, 0.99, [0.5, 0.0, 0.5, 1.0])])
    with pytest.raises(ValueError, match=r"d.parquet: row 1: box 0 is \[0.5.*; expected one of some area"):
        detections(path, {("a", 1000)}, 0.9)
    for score in (1.5, float("nan")):
        path = table(tmp_path / "d.parquet", [good, ("a", 1.0, score, boxed(1))])
        with pytest.raises(ValueError, match=rf"d.parquet: row 1: score {score}; expected 0 to 1"):
            detections(path, {("a", 1000)}, 0.9)
    path = table(tmp_path / "d.parquet", [good], score=None)
    with pytest.raises(
        ValueError, match=r"d.parquet: no column score; expected video_id, time_s, box_xyxy, score"
    ):
        detections(path, {("a", 1000)}, 0.9)


def keyframes(path, truth=((HALF, (2,)),), **changes):
    labelled = Boxes(np.array([b for b, _ in truth]).reshape(-1, 4), tuple(labels for _, labels in truth))
    item = {"video_id": "a", "start_s": 1.0, "truth": labelled}
    return Keyframes(SETTINGS | changes, path, [item]), item


def found_near_half(tmp_path):
    """A detection that meets HALF by four fifths, and one that meets it hardly."""
    near, far = [0.0, 0.0, 0.4, 1.0], [0.45, 0.0, 1.0, 1.0]
    return table(
        tmp_path / "d.parquet", [("a", 1.0, 0.87, near), ("a", 1.0, 0.93, near), ("a", 1.0, 0.97, far)]
    )


def test_training_has_labelled_boxes_and_sure_detections(tmp_path):
    made, item = keyframes(found_near_half(tmp_path))
    found = made.learnt(item)
    assert found.xyxy.tolist() == [HALF, [0.45, 0.0, 1.0, 1.0], [0.0, 0.0, 0.4, 1.0]]
    assert found.labels == ((2,), (), (2,))
    assert keyframes(found_near_half(tmp_path), match_iou=0.9)[0].learnt(item).labels == ((2,), (), ())
    alone = keyframes(found_near_half(tmp_path), truth=((HALF, (2,)),))[0]
    alone.settings = alone.settings | {"truth": False}
    assert alone.learnt(item).xyxy.tolist() == [[0.45, 0.0, 1.0, 1.0], [0.0, 0.0, 0.4, 1.0]]
    assert alone.learnt(item).labels == ((), (2,))


def test_what_is_learnt_of_the_last_keyframes_is_kept(tmp_path, monkeypatch):
    made, item = keyframes(found_near_half(tmp_path))
    found = made.learnt(item)
    assert made.learnt(item) is found
    other = item | {"truth": Boxes(np.array([HALF]), ((7,),))}
    assert made.learnt(other).labels == ((7,), (), (7,)), "another keyframe's, of the same second"
    monkeypatch.setattr(module, "KEPT", 1)
    assert made.learnt(item | {"start_s": 2.0}).xyxy.tolist() == [HALF]
    assert len(made._last) == 1


def test_answers_are_about_detections_of_another_score(tmp_path):
    made, item = keyframes(found_near_half(tmp_path))
    assert made.asked(item, 0.85).xyxy.tolist() == [[0.45, 0, 1, 1], [0, 0, 0.4, 1], [0, 0, 0.4, 1]]
    assert made.asked(item, None).xyxy.tolist() == [[0.45, 0, 1, 1], [0, 0, 0.4, 1]]
    assert made.asked(item, 1.0).xyxy.shape == (0, 4)
    assert not any(box == HALF for box in made.asked(item, 0.0).xyxy.tolist())


def test_without_a_detector_answers_are_about_labelled_boxes():
    made, item = keyframes(None, detector=None)
    assert made.asked(item, 0.85).xyxy.tolist() == [HALF]
    assert made.learnt(item).xyxy.tolist() == [HALF]


def test_a_detector_learns_one_class(tmp_path):
    made, item = keyframes(found_near_half(tmp_path), one_class=True)
    assert made.learnt(item).labels == ((0,), (0,), (0,))
    assert made.asked(item, 0.95).labels == ((0,),)


def test_whether_there_is_anything_to_learn(tmp_path):
    path = found_near_half(tmp_path)
    for truth, given, wanted in (((), path, True), (((HALF, ()),), None, True), ((), None, False)):
        made, item = keyframes(given, truth=truth, detector=given and "persons")
        assert made.any_learnt(item) is wanted
        assert (len(made.learnt(item).xyxy) > 0) is wanted


def test_a_table_is_read_once(tmp_path, monkeypatch):
    made, item = keyframes(found_near_half(tmp_path))
    counted, read = [], module.detections
    monkeypatch.setattr(module, "detections", lambda *given: counted.append(given) or read(*given))
    for _ in range(3):
        made.learnt(item)
        made.any_learnt(item)
    assert len(counted) == 1


@pytest.mark.parametrize(("detector", "path"), [("persons", None), (None, "d.parquet")])
def test_a_detector_and_its_table_come_together(detector, path):
    with pytest.raises(
        ValueError, match=re.escape(f"data: boxes: detector is {detector!r}, its table {path}")
    ):
        keyframes(path, detector=detector)
