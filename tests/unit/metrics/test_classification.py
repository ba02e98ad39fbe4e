"""Scores of classifiers, by cases small enough to work out on paper."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from retake.metrics.classification import (
    average_precisions,
    hits_in_top,
    mean_average_precision,
    top_k_accuracy,
    weighted_average_precision,
)

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.4], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
LABELS = np.array([1, 2, 0, 0])  # first, second, third, first


@pytest.mark.parametrize(("k", "share"), [(1, 0.5), (2, 0.75), (3, 1.0)])
def test_top_k_counts_rows_whose_class_is_among_the_k_surest(k, share):
    assert top_k_accuracy(SCORES, LABELS, k) == share


def test_among_equal_scores_the_lower_class_comes_first():
    assert hits_in_top(np.zeros((3, 3)), np.array([0, 1, 2]), 2).tolist() == [True, True, False]


def test_map_is_the_mean_over_classes_of_precision_at_each_positive():
    scores = np.array([[0.9, 0.1], [0.8, 0.9], [0.7, 0.5], [0.1, 0.3]])
    labels = np.array([[1, 0], [0, 0], [1, 1], [0, 1]])
    # class 0: hits at ranks 1 and 3 -> (1/1 + 2/3) / 2; class 1: order 1, 2, 3, 0 -> hits at ranks 2 and 3
    expected = ((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2
    assert mean_average_precision(scores, labels) == pytest.approx(expected, abs=1e-15)


def test_map_leaves_out_a_class_without_positives():
    scores = np.array([[0.9, 0.5], [0.1, 0.6]])
    assert mean_average_precision(scores, np.array([[1, 0], [0, 0]])) == 1.0


def test_map_breaks_ties_by_row():
    assert mean_average_precision(np.zeros((2, 1)), np.array([[0], [1]])) == 0.5


@pytest.mark.parametrize(
    ("labels", "k", "message"),
    [
        (np.array([1, 2, 0]), 1, "labels must be"),
        (np.array([1, 2, 0, 3]), 1, "labels must be 0 to 2"),
        (np.array([1, 2, 0, -1]), 1, "labels must be 0 to 2"),
        (LABELS, 0, "k must be 1 to 3"),
        (LABELS, 4, "k must be 1 to 3"),
    ],
)
def test_what_does_not_fit_is_an_error(labels, k, message):
    with pytest.raises(ValueError, match=message):
        top_k_accuracy(SCORES, labels, k)


def test_no_positive_at_all_is_an_error():
    with pytest.raises(ValueError, match="no class has a positive"):
        mean_average_precision(np.zeros((2, 2)), np.zeros((2, 2), dtype=int))


def test_labels_other_than_0_and_1_are_an_error():
    with pytest.raises(ValueError, match="0 or 1"):
        mean_average_precision(np.zeros((1, 2)), np.array([[0, 2]]))


def test_a_score_that_is_no_number_is_an_error_that_names_the_row():
    broken = SCORES.copy()
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="row 2"):
        top_k_accuracy(broken, LABELS, 1)


def test_wap_weighs_a_class_by_its_positives():
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.9, 0.2], [0.7, 0.5, 0.1], [0.1, 0.3, 0.9]])
    labels = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]])
    # class 0: hits at ranks 1, 3, 4; class 1: order 1, 2, 3, 0, a hit at rank 3; class 2: none
    first, second = (1 + 2 / 3 + 3 / 4) / 3, 1 / 3
    average, positives = average_precisions(scores, labels)
    assert average[:2] == pytest.approx([first, second], abs=1e-15)
    assert np.isnan(average[2])
    assert positives.tolist() == [3, 1, 0]
    assert weighted_average_precision(scores, labels) == pytest.approx((3 * first + second) / 4, abs=1e-15)
    assert mean_average_precision(scores, labels) == pytest.approx((first + second) / 2, abs=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_average_precisions_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.linspace(-3, 3, 60 * 9).reshape(60, 9), axis=None)  # without ties
    labels = (rng.random((60, 9)) < rng.uniform(0.03, 0.5, size=9)).astype(int)
    labels[0], labels[:, 4] = 1, 0
    expected = [average_precision_score(labels[:, k], scores[:, k]) for k in range(9) if k != 4]
    shares = labels.sum(axis=0)[[k for k in range(9) if k != 4]] / labels.sum()
    average, _ = average_precisions(scores, labels)
    assert np.delete(average, 4) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(average[4])
    assert mean_average_precision(scores, labels) == pytest.approx(np.mean(expected), abs=1e-12)
    assert weighted_average_precision(scores, labels) == pytest.approx(np.dot(expected, shares), abs=1e-12)


def test_wap_of_classes_that_come_equally_often_is_map():
    rng = np.random.default_rng(1)
    scores = rng.random((40, 4))
    labels = np.tile(np.eye(4, dtype=int), (10, 1))
    assert weighted_average_precision(scores, labels) == pytest.approx(
        mean_average_precision(scores, labels), abs=1e-15
    )


def test_wap_too_needs_a_positive():
    with pytest.raises(ValueError, match="no class has a positive"):
        weighted_average_precision(np.zeros((2, 2)), np.zeros((2, 2), dtype=int))
