"""The paired bootstrap against brute force, and METEOR's and BLEU's statistics against the scorers."""

import itertools

import numpy as np
import pytest

from retake.metrics.captioning import _bleu4
from retake.report.bootstrap import (
    AT_ONCE,
    bleu4_of,
    mean_of,
    paired_bootstrap,
    seed_bootstrap,
)


def scores(values):
    """(seeds, items) of item scores as statistics."""
    values = np.asarray(values, dtype=float)
    return np.stack([values, np.ones_like(values)], axis=-1)


def rng():
    return np.random.default_rng(7)


def test_every_draw_of_brute_force_is_met_and_no_other():
    """Two seeds and two items: 16 equally likely draws, so that 2.5% and 97.5% are the least and the
    largest.
    """
    a, b = np.array([[0.1, 0.9], [0.4, 0.7]]), np.array([[0.3, 0.2], [0.5, 0.6]])
    pairs = list(itertools.product((0, 1), repeat=2))
    all_draws = [
        np.mean([[a[s, i] - b[s, i] for i in items] for s in seeds]) for seeds in pairs for items in pairs
    ]
    found = paired_bootstrap(scores(a), scores(b), mean_of, rng=rng())
    assert found.difference == pytest.approx((a - b).mean(), abs=1e-15)
    assert found.low == pytest.approx(min(all_draws), abs=1e-12)
    assert found.high == pytest.approx(max(all_draws), abs=1e-12)


def test_draws_follow_the_exact_distribution_of_a_larger_case():
    """Three items, one seed: 27 draws; the middle 95% of the 27 against that of 20,000."""
    gaps = np.array([0.0, 1.0, 10.0])
    exact = [np.mean(draw) for draw in itertools.product(gaps, repeat=3)]
    found = paired_bootstrap(scores([gaps]), scores([np.zeros(3)]), mean_of, rng=rng(), draws=20_000)
    # P(all 0) = 1/27 > 2.5% and P(all 10) = 1/27 > 2.5%
    assert (found.low, found.high) == pytest.approx((min(exact), max(exact)), abs=1e-12)


def test_both_sides_see_the_same_draws():
    values = np.random.default_rng(1).random((3, 40))
    found = paired_bootstrap(scores(values + 0.25), scores(values), mean_of, rng=rng())
    assert (found.difference, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-12)


def test_seeds_are_drawn_too():
    """All items alike within a seed: only the choice of seeds moves the difference."""
    a = np.repeat([[0.0], [1.0]], 50, axis=1)
    found = paired_bootstrap(scores(a), scores(np.zeros_like(a)), mean_of, rng=rng())
    assert (found.low, found.difference, found.high) == pytest.approx((0.0, 0.5, 1.0), abs=1e-12)


def test_a_printed_number_stands_for_b():
    a = np.full((2, 5), 0.6)
    found = paired_bootstrap(scores(a), 0.5, mean_of, rng=rng())
    assert (found.low, found.difference, found.high) == pytest.approx((0.1, 0.1, 0.1), abs=1e-12)


def test_the_number_of_draws_may_be_any(monkeypatch):
    a = scores(np.random.default_rng(1).random((2, 9)))
    found = [paired_bootstrap(a, 0.5, mean_of, rng=rng(), draws=n) for n in (1, AT_ONCE, AT_ONCE + 1)]
    assert found[0].low == found[0].high
    assert all(f.difference == found[0].difference for f in found)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    world = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        difficulty = world.normal(size=(1, 60))
        a = difficulty + world.normal(0.3, 0.5, size=(1, 60))
        b = difficulty + world.normal(0.0, 0.5, size=(1, 60))
        found = paired_bootstrap(scores(a), scores(b), mean_of, rng=world, draws=200)
        covered += found.low <= 0.3 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_generator_gives_the_same_interval():
    a, b = scores(np.random.default_rng(1).random((3, 20))), scores(np.random.default_rng(2).random((3, 20)))
    assert paired_bootstrap(a, b, mean_of, rng=rng()) == paired_bootstrap(a, b, mean_of, rng=rng())


def test_a_draw_without_any_value_is_left_out():
    counts = np.array([[[1.0, 1.0], [0.0, 0.0]]])  # the second item has no fact of the kind
    found = paired_bootstrap(counts, 0.0, mean_of, rng=rng())
    assert (found.low, found.difference, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("a", "b"), [((2, 3, 2), (2, 4, 2)), ((2, 0, 2), (2, 0, 2)), ((3, 2), (3, 2))])
def test_shapes_that_do_not_fit_are_an_error(a, b):
    with pytest.raises(ValueError, match="expected equal"):
        paired_bootstrap(np.zeros(a), np.zeros(b), mean_of, rng=rng())


def test_over_seeds_only_when_a_metric_does_not_decompose():
    found = seed_bootstrap(np.array([0.5, 0.9]), np.array([0.4, 0.4]), rng=rng())
    assert (found.difference, found.low, found.high) == pytest.approx((0.3, 0.1, 0.5), abs=1e-12)
    assert seed_bootstrap(np.array([0.5]), np.array([0.4]), rng=rng()).low is None
    with pytest.raises(ValueError, match="one value a seed"):
        seed_bootstrap(np.zeros(2), np.zeros(3), rng=rng())


def test_bleu_of_any_choice_of_items_comes_from_their_summed_statistics():
    words = "a red dog jumps over the box while it rains".split()
    world = np.random.default_rng(5)
    text = lambda: " ".join(world.choice(words, size=world.integers(3, 12)))  # noqa: E731
    references, captions = [[text(), text()] for _ in range(30)], [text() for _ in range(29)] + [""]
    references[0], captions[0] = ["a red dog jumps over the box"] * 2, "a red dog jumps over it"
    statistics = np.array(_bleu4(references, captions)[1]["bleu4_statistics"], dtype=float)
    for _ in range(20):
        drawn = world.integers(0, 30, size=30)
        exact, _ = _bleu4([references[i] for i in drawn], [captions[i] for i in drawn])
        assert bleu4_of(statistics[drawn].sum(axis=0)) == pytest.approx(exact, rel=1e-9)
