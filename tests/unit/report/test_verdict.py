"""One word for how a reproduced number compares."""

import pytest

from retake.report.verdict import NO_TOLERANCE, in_unit, verdict


@pytest.mark.parametrize(
    ("seeds", "word"),
    [
        ([50.0, 51.0], "reproduced"),
        ([49.5], "reproduced"),
        ([51.0], "higher"),
        ([40.0, 50.0], "lower"),
        ([], "not run"),
    ],
)
def test_the_mean_over_seeds_is_held_to_the_tolerance(seeds, word):
    assert verdict(50.0, seeds, tolerance=0.5, scale="paper") == word


@pytest.mark.parametrize("seeds", [[50.0], [1.0], []])
def test_a_mini_number_is_never_compared(seeds):
    assert verdict(50.0, seeds, tolerance=0.5, scale="mini") == "mini: not compared"


def test_without_a_stated_tolerance_there_is_no_verdict():
    assert verdict(50.0, [50.0], tolerance=None, scale="paper") == NO_TOLERANCE


def test_an_unknown_scale_is_an_error():
    with pytest.raises(ValueError, match="'small'"):
        verdict(50.0, [50.0], tolerance=1.0, scale="small")


def test_fractions_are_printed_in_the_paper_s_unit():
    assert in_unit(0.866, "cider", "percent") == pytest.approx(86.6)
    assert in_unit(0.866, "cider", "fraction") == 0.866
    assert in_unit(31.5, "psnr", "dB") == 31.5


@pytest.mark.parametrize(("metric", "unit"), [("cider", "points"), ("psnr", "fraction"), ("medr", "percent")])
def test_a_unit_that_a_metric_is_not_printed_in_is_an_error(metric, unit):
    with pytest.raises(ValueError, match=rf"{metric} in '{unit}': expected"):
        in_unit(1.0, metric, unit)
