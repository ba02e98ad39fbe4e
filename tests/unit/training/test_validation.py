import pytest

from retake.training.validation import SCORES, cider, is_better, scores_of, top1

REFERENCES = {
    "a": [{"text_out": "A dog runs fast today."}, {"text_out": "the dog runs fast today"}],
    "b": [{"text_out": "two cats sleep all day"}, {"text_out": "Two cats sleep, all day"}],
}


def test_cider_sees_no_case_and_no_punctuation_and_prefers_the_right_video():
    right = {"a": {"text": "a dog runs fast today"}, "b": {"text": "two cats sleep all day!"}}
    swapped = {"a": right["b"], "b": right["a"]}
    assert cider(swapped, REFERENCES) == pytest.approx(0.0, abs=1e-9)
    assert cider(right, REFERENCES) > 5
    assert cider({**right, "b": {"text": "TWO CATS sleep all day"}}, REFERENCES) == cider(right, REFERENCES)


def test_top1_counts_items_whose_best_score_is_a_label():
    answers = {"x": {"scores": [0.1, 0.9]}, "y": {"scores": [0.1, 0.9]}}
    assert top1(answers, {"x": [{"labels": [1]}], "y": [{"labels": [0]}]}) == 0.5


def test_losses_are_better_lower_and_metrics_as_their_entry_says():
    assert is_better("val/total", 1.0, 2.0)
    assert not is_better("val/total", 2.0, 2.0)
    assert is_better("val/cider", 2.0, 1.0)
    assert not is_better("val/medr", 2.0, 1.0)
    assert is_better("val/cider", -1.0, None)


def test_a_monitor_asks_for_its_score_alone():
    assert scores_of("val/cider") == {"cider": SCORES["cider"]}
    assert scores_of("val/nll") == scores_of(None) == {}
    with pytest.raises(ValueError, match="found 'val/meteor'"):
        scores_of("val/meteor")
