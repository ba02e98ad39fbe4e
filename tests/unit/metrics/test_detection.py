"""AVA's average precision: cases worked by hand, and the literal rules on drawn boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.metrics.detection import Boxes, average_precision, average_precisions, mean_over, overlaps
from tests.unit.metrics import literal_detection

LEFT, RIGHT = (0.0, 0.0, 0.4, 1.0), (0.6, 0.0, 1.0, 1.0)
NOWHERE = (0.45, 0.0, 0.55, 1.0)


def boxes(*rows: tuple[int, tuple[float, ...]]) -> Boxes:
    return Boxes(np.array([n for n, _ in rows], int), np.array([b for _, b in rows], float).reshape(-1, 4))


def ap(answers, scores, truth) -> float:
    return average_precision(boxes(*answers), np.array(scores, float), boxes(*truth))


def test_what_two_boxes_share():
    a = np.array([(0, 0, 2, 2), (0, 0, 2, 2), (0, 0, 1, 1), (0, 0, 4, 1)], float)
    b = np.array([(1, 1, 3, 3), (0, 0, 2, 1), (1, 0, 2, 1), (1, 0, 2, 1)], float)
    assert overlaps(a, b).tolist() == [1 / 7, 1 / 2, 0, 1 / 4]


def test_a_miss_between_two_hits():
    # precision at the hits: 1 of 1, 2 of 3
    truth = [(0, LEFT), (0, RIGHT)]
    assert ap([(0, LEFT), (0, NOWHERE), (0, RIGHT)], [0.9, 0.8, 0.7], truth) == pytest.approx((1 + 2 / 3) / 2)


def test_precision_is_that_of_the_best_answer_from_there_on():
    # hits at ranks 2 and 3 of three truths: 1/2 and 2/3, both count as 2/3; the third is never found
    truth = [(0, LEFT), (0, RIGHT), (1, LEFT)]
    answers = [(0, NOWHERE), (0, LEFT), (0, RIGHT)]
    assert ap(answers, [0.9, 0.8, 0.7], truth) == pytest.approx(2 * (2 / 3) / 3)


def test_a_box_is_found_once_by_the_surest():
    truth = [(0, LEFT), (0, RIGHT)]
    # LEFT, LEFT again (wrong), RIGHT
    answers = [(0, RIGHT), (0, LEFT), (0, LEFT)]
    assert ap(answers, [0.1, 0.8, 0.9], truth) == pytest.approx((1 + 2 / 3) / 2)


def test_an_answer_means_the_box_that_it_overlaps_most_and_no_other():
    wide, narrow = (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.7, 1.0)
    other = (0.0, 0.0, 0.8, 1.0)  # shares 0.8 with wide, 7/8 with narrow: means narrow, which is taken
    assert ap([(0, narrow), (0, other)], [0.9, 0.8], [(0, wide), (0, narrow)]) == 0.5
    assert ap([(0, narrow), (0, other)], [0.8, 0.9], [(0, wide), (0, narrow)]) == 0.5
    # the first of equal ones is meant, so the second answer, which means it alone, finds nothing
    west, east, whole = (0.0, 0.0, 0.75, 1.0), (0.25, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)
    assert ap([(0, whole), (0, west)], [0.9, 0.8], [(0, west), (0, east)]) == 0.5
    assert ap([(0, whole), (0, east)], [0.9, 0.8], [(0, west), (0, east)]) == 1.0
    assert ap([(0, LEFT), (0, LEFT)], [0.9, 0.8], [(0, LEFT), (0, LEFT)]) == 0.5


def test_half_an_overlap_is_enough_and_less_is_not():
    half, less = (0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 1.0, 0.499)
    assert ap([(0, half)], [0.5], [(0, (0.0, 0.0, 1.0, 1.0))]) == 1.0
    assert ap([(0, less)], [0.5], [(0, (0.0, 0.0, 1.0, 1.0))]) == 0.0
    strict = average_precision(boxes((0, half)), np.ones(1), boxes((0, (0.0, 0.0, 1.0, 1.0))), iou=0.6)
    assert strict == 0.0


def test_boxes_of_other_pictures_are_not_found_and_answers_where_there_is_no_truth_are_wrong():
    assert ap([(1, LEFT)], [0.9], [(0, LEFT)]) == 0.0
    assert ap([(1, LEFT), (0, LEFT)], [0.9, 0.8], [(0, LEFT)]) == 0.5
    assert ap([(0, LEFT), (1, LEFT)], [0.9, 0.8], [(0, LEFT)]) == 1.0
    assert ap([(1, LEFT), (0, LEFT)], [0.9, 0.8], [(0, LEFT), (1, RIGHT)]) == 0.25


def test_of_equal_scores_the_earlier_row_is_the_surer():
    assert ap([(0, NOWHERE), (0, LEFT)], [0.5, 0.5], [(0, LEFT)]) == 0.5
    assert ap([(0, LEFT), (0, NOWHERE)], [0.5, 0.5], [(0, LEFT)]) == 1.0


def test_without_answers_nothing_is_found_and_without_truth_there_is_no_precision():
    assert ap([], [], [(0, LEFT)]) == 0.0
    assert np.isnan(ap([(0, LEFT)], [0.5], []))


def test_every_box_answers_every_class():
    answers, truth = boxes((0, LEFT), (0, RIGHT)), boxes((0, LEFT), (0, RIGHT), (0, RIGHT))
    scores = np.array([[0.9, 0.1, 0.5, 0.7], [0.2, 0.8, 0.5, 0.8]])
    # class 0: LEFT, surest. 1: RIGHT, surest. 2: nobody's. 3: RIGHT, surest; LEFT's answer comes after
    found = average_precisions(answers, scores, truth, np.array([0, 1, 3]))
    assert found.tolist()[:2] + found.tolist()[3:] == [1.0, 1.0, 1.0]
    assert np.isnan(found[2])
    swapped = average_precisions(answers, scores[:, ::-1], truth, np.array([0, 1, 3]))
    # class 0 asks for LEFT: 0.7 after 0.8; 1: both 0.5, RIGHT's row comes second; 3: RIGHT: 0.2 after 0.9
    assert swapped[[0, 1, 3]].tolist() == [0.5, 0.5, 0.5]


def test_means_leave_out_classes_without_truth():
    precisions = np.array([0.5, np.nan, 0.25, 0.0])
    assert mean_over(precisions) == 0.25
    assert mean_over(precisions, np.array([0, 1])) == 0.5
    with pytest.raises(ValueError, match="none of 1 classes has a box of truth"):
        mean_over(precisions, np.array([1]))


def test_a_sample_of_twelve_rows_of_truth_and_ten_boxes_of_three_classes():
    """In each of four pictures LEFT does all three classes; worked by hand.

    Class 0: the four surest answers are right. Class 1: right at ranks 1, 2, 9 and 10, precisions 1, 1, 3/9, 4/10,
    monotone 1, 1, 4/10, 4/10. Class 2: at ranks 3, 8, 9 and 10: 1/3, 2/8, 3/9, 4/10, monotone 4/10 throughout.
    """
    truth = boxes(*[(n, LEFT) for n in range(4) for _ in range(3)])
    answers = boxes(
        *[(n, LEFT) for n in range(4)], *[(n, RIGHT) for n in range(4)], (8, NOWHERE), (9, NOWHERE)
    )
    scores = np.array(
        [
            [0.99, 0.98, 0.97, 0.96, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0],
            [0.9, 0.8, -1.0, -2.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0],
            [0.7, -1.0, 0.005, -2.0, 0.01, 0.01, 0.01, 0.01, 0.9, 0.8],
        ]
    ).T
    found = average_precisions(answers, scores, truth, np.tile([0, 1, 2], 4))
    assert found.tolist() == pytest.approx([1.0, (1 + 1 + 0.4 + 0.4) / 4, 0.4])


EDGE = st.integers(0, 4)
BOX = st.tuples(EDGE, EDGE, EDGE, EDGE).map(
    lambda e: (min(e[0], e[2]) / 5, min(e[1], e[3]) / 5, (max(e[0], e[2]) + 1) / 5, (max(e[1], e[3]) + 1) / 5)
)
PICTURE = st.integers(0, 2)
SCORES = st.lists(st.integers(0, 5).map(lambda n: n / 5), min_size=3, max_size=3)
ANSWERS = st.lists(st.tuples(PICTURE, BOX, SCORES), min_size=1, max_size=14)
TRUTH = st.lists(st.tuples(PICTURE, BOX, st.integers(0, 2)), max_size=12)


def of_rows(answers, truth) -> np.ndarray:
    return average_precisions(
        boxes(*[(n, box) for n, box, _ in answers]),
        np.array([row[2] for row in answers]),
        boxes(*[(n, box) for n, box, _ in truth]),
        np.array([label for *_, label in truth], int),
    )


@given(ANSWERS, TRUTH)
def test_it_is_what_the_literal_rules_give(answers, truth):
    np.testing.assert_allclose(
        of_rows(answers, truth), literal_detection.average_precisions(answers, truth, 3), atol=1e-12
    )


@given(ANSWERS, TRUTH)
def test_only_the_order_of_scores_counts_and_an_answer_after_all_others_takes_nothing_away(answers, truth):
    found = of_rows(answers, truth)
    cubed = [(n, box, [score**3 - 7 for score in scores]) for n, box, scores in answers]
    np.testing.assert_array_equal(of_rows(cubed, truth), found)
    more = [*answers, (3, (0.0, 0.0, 1.0, 1.0), [-1.0] * 3)]
    np.testing.assert_array_equal(of_rows(more, truth), found)
    kept = ~np.isnan(found)
    assert ((found[kept] >= 0) & (found[kept] <= 1)).all()


@pytest.mark.parametrize(
    ("answers", "scores", "truth", "message"),
    [
        (
            [(0, (0.5, 0, 0.5, 1))],
            [0.5],
            [(0, LEFT)],
            r"answers: row 0: box \[0.5, 0.0, 0.5, 1.0\] has no area",
        ),
        ([(0, LEFT)], [0.5], [(0, LEFT), (0, (0, 1, 1, 0))], "truth: row 1: box .* has no area"),
        ([(0, (0, 0, float("nan"), 1))], [0.5], [(0, LEFT)], "answers: row 0: box .* has no area"),
        (
            [(0, LEFT), (0, LEFT)],
            [0.5, float("nan")],
            [(0, LEFT)],
            "answers: row 1 has a score that is no number",
        ),
        ([(0, LEFT)], [0.5, 0.6], [(0, LEFT)], r"scores must be \(1, K\), not \(2, 1\)"),
    ],
)
def test_what_cannot_be_scored_is_named(answers, scores, truth, message):
    with pytest.raises(ValueError, match=message):
        ap(answers, scores, truth)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_an_error(label):
    with pytest.raises(ValueError, match=f"labels must be 0 to 1, not {label} to {label}"):
        average_precisions(boxes((0, LEFT)), np.ones((1, 2)), boxes((0, LEFT)), np.array([label]))
