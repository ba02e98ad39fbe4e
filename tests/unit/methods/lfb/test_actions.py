"""Actions from verbs and nouns: by hand, by brute force, and what cannot be matched."""

import numpy as np
import pytest

from retake.methods.lfb.actions import class_prior, pairs_of, prior_of
from retake.schema.fused import Classes, Context

VERBS = Classes("verbs.parquet", {0: "take", 1: "turn-on"}, {})
NOUNS = Classes("nouns.parquet", {0: "tap", 2: "pan:dust"}, {})  # 1 has no row anywhere
ONE = np.ones(2)


def context(names, counts, verbs=VERBS, nouns=NOUNS):
    return Context(Classes("actions.parquet", dict(enumerate(names)), counts), [verbs, nouns])


def test_an_action_is_what_its_verb_and_its_noun_say_times_how_often_the_two_go_together():
    """By hand. Training: take tap 3 times, take pan:dust once, turn-on tap twice; turn-on pan:dust never.

    P(tap | take) = 3 / 4, P(pan | take) = 1 / 4, P(tap | turn-on) = 2 / 2, each but for the 1e-5.
    """
    told = context(["take pan:dust", "take tap", "turn-on pan:dust", "turn-on tap"], {0: 1, 1: 3, 3: 2})
    scores = [np.array([[0.8, 0.2]]), np.array([[0.5, 0.1, 0.4]])]
    wanted = [[0.8 * 0.4 * 0.25, 0.8 * 0.5 * 0.75, 0.0, 0.2 * 0.5 * 1.0]]  # 0.08, 0.3, 0, 0.1
    assert class_prior(scores, ONE, told) == pytest.approx(np.array(wanted), rel=1e-4)
    # the constant in the denominator, exactly: 3 / (4 + 1e-5)
    assert class_prior(scores, ONE, told)[0, 1] == pytest.approx(0.4 * 3 / 4.00001, rel=1e-12)


def test_a_weight_is_a_power():
    told = context(["take tap", "turn-on tap"], {0: 1, 1: 1})
    scores = [np.array([[0.64, 0.36]]), np.array([[0.5, 0.0, 0.5]])]
    found = class_prior(scores, np.array([0.5, 1.0]), told)
    assert found == pytest.approx(np.array([[0.8 * 0.5, 0.6 * 0.5]]), rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_against_the_whole_table_of_pairs_as_the_published_evaluation_makes_it(seed):
    """Every pair of V x N scored, pairs without a row among them; the best are the same, in the same order."""
    rng = np.random.default_rng(seed)
    count_v, count_n, items, best = 7, 9, 12, 5
    verbs = Classes("v", {n: f"v{n}" for n in range(count_v)}, {})
    nouns = Classes("n", {n: f"n{n}" for n in range(count_n)}, {})
    rows = [(int(rng.integers(count_v)), int(rng.integers(count_n))) for _ in range(60)]
    train, val = rows[:45], rows[45:]
    known = sorted(set(rows))
    counts = {known.index(pair): train.count(pair) for pair in train}
    told = context([f"v{v} n{n}" for v, n in known], counts, verbs, nouns)
    scores = [rng.dirichlet(np.ones(k), items) for k in (count_v, count_n)]
    found = class_prior(scores, ONE, told)
    for item in range(items):
        every = {}
        for v in range(count_v):
            of_verb = sum(pair[0] == v for pair in train)
            for n in range(count_n):
                prior = train.count((v, n)) / (of_verb + 1e-5)
                every[v, n] = scores[0][item][v] * scores[1][item][n] * prior
        for label, pair in enumerate(known):
            assert found[item, label] == pytest.approx(every[pair], rel=1e-12)
        order = sorted(every, key=lambda pair: -every[pair])[:best]
        assert [known[label] for label in np.argsort(-found[item])[:best]] == order
    assert val


def test_rows_of_the_prior_sum_to_one_save_those_of_verbs_without_training_rows():
    pairs = {0: (0, 0), 1: (0, 2), 2: (2, 1)}
    prior = prior_of(pairs, {0: 5, 1: 1, 2: 7}, (3, 3))
    assert prior.sum(axis=1) == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)
    assert (prior >= 0).all()


def test_classes_are_matched_by_name_whatever_their_numbers():
    names = {3: "tap", 1: "pan:dust"}
    told = context(["turn-on tap", "take pan:dust"], {}, nouns=Classes("n", names, {}))
    assert pairs_of(told) == {0: (1, 3), 1: (0, 1)}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            context(["take cup"], {}),
            "actions.parquet: class 0 'take cup' is no pair of a verb of verbs.parquet",
        ),
        (context(["take tap", "taketap"], {}), "class 1 'taketap' is no pair"),
        (
            context(
                ["a b c"], {}, Classes("v", {0: "a", 1: "a b"}, {}), Classes("n", {0: "b c", 1: "c"}, {})
            ),
            "class 0 'a b c' is more than one pair of a verb of v and a noun of n",
        ),
        (
            Context(Classes("actions.parquet", {0: "take tap", 2: "turn-on tap"}, {}), [VERBS, NOUNS]),
            "actions.parquet: class 1 has no row",
        ),
        (context([], {}, Classes("v", {5: "a"}, {})), "v: has class 5; the predictions score 2 classes"),
    ],
)
def test_classes_that_cannot_be_matched_are_named(told, said):
    scores = [np.array([[0.8, 0.2]]), np.array([[0.5, 0.1, 0.4]])]
    with pytest.raises(ValueError, match=said):
        class_prior(scores, ONE, told)


@pytest.mark.parametrize("row", [[2.0, -1.0], [3.0, 1.0], [0.2, 0.2], [float("nan"), 1.0]])
def test_scores_that_are_no_softmax_are_an_error(row):
    told = context(["take tap"], {0: 1})
    with pytest.raises(ValueError, match=r"verbs\.parquet: its part's scores are no softmax"):
        class_prior([np.array([row]), np.array([[0.5, 0.1, 0.4]])], ONE, told)


def test_three_parts_are_no_verbs_and_nouns():
    with pytest.raises(ValueError, match="class_prior: 3 parts; expected two"):
        class_prior([np.ones((1, 1))] * 3, np.ones(3), context(["take tap"], {}))
