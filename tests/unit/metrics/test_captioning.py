"""Caption metrics against literal versions of their definitions, and METEOR against cases worked out by
hand.
"""

import math
from collections import Counter

import numpy as np
import pytest

from retake.metrics import captioning
from retake.metrics.captioning import score_captions
from retake.metrics.java import Java
from retake.report.bootstrap import meteor_of

REFERENCES = {
    "v1": ["a red dog jumps over the box", "the dog is jumping over a red box", "a dog leaps"],
    "v2": ["a man slides along the floor", "the man is sliding"],
    "v3": ["two birds sing in the kitchen", "birds are singing in a big kitchen while it rains"],
}
GOOD = {"v1": "a red dog is jumping over a box", "v2": "the man slides", "v3": "birds sing in a big kitchen"}
SETS = {
    "good": GOOD,
    "empty": GOOD | {"v2": ""},
    "only punctuation": GOOD | {"v2": "? ! ..."},
    "return": GOOD | {"v1": "a red dog is jumping\rover a box"},
    "bars": GOOD | {"v1": "a red dog is jumping|||over a box"},
}


@pytest.fixture(scope="module")
def started():
    return []


@pytest.fixture(scope="module")
def scores(started):
    """All sets scored in one call, with no java in PATH."""
    enter = Java.__enter__

    def counted(self):
        started.append(self)
        return enter(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.setattr(Java, "__enter__", counted)
        return score_captions(REFERENCES, SETS)


def ngrams(text, n):
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def literal_bleu4(captions):
    matched, there, length, closest = [0] * 4, [0] * 4, 0, 0
    for item, caption in captions.items():
        refs = REFERENCES[item]
        size = len(caption.split())
        length += size
        closest += min((abs(len(r.split()) - size), len(r.split())) for r in refs)[1]
        for n in range(1, 5):
            most = Counter()
            for ref in refs:
                most |= ngrams(ref, n)
            matched[n - 1] += sum((ngrams(caption, n) & most).values())
            there[n - 1] += sum(ngrams(caption, n).values())
    mean = math.exp(sum(math.log(m / t) for m, t in zip(matched, there, strict=True)) / 4)
    return mean * min(1.0, math.exp(1 - closest / length))


def subsequence(a, b):
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + subsequence(a[:-1], b[:-1])
    return max(subsequence(a[:-1], b), subsequence(a, b[:-1]))


def literal_rouge_l(caption, refs):
    words = caption.split()
    if not words:
        return 0.0
    common = [subsequence(words, ref.split()) for ref in refs]
    precision = max(common) / len(words)
    recall = max(c / len(ref.split()) for c, ref in zip(common, refs, strict=True))
    return (
        (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
        if common != [0] * len(refs)
        else 0.0
    )


def literal_cider_d(item, caption):
    """Its definition, with the reference implementation's length: the number of bigrams."""

    def idf(gram):
        df = sum(any(ngrams(ref, len(gram))[gram] for ref in refs) for refs in REFERENCES.values())
        return math.log(len(REFERENCES)) - math.log(max(1, df))

    def vector(text, n):
        return {gram: count * idf(gram) for gram, count in ngrams(text, n).items()}

    total = 0.0
    for ref in REFERENCES[item]:
        gap = sum(ngrams(caption, 2).values()) - sum(ngrams(ref, 2).values())
        for n in range(1, 5):
            a, b = vector(caption, n), vector(ref, n)
            norm = math.sqrt(sum(x * x for x in a.values())) * math.sqrt(sum(x * x for x in b.values()))
            dot = sum(min(a[gram], b.get(gram, 0.0)) * b.get(gram, 0.0) for gram in a)
            total += (dot / norm if norm else 0.0) * math.exp(-(gap**2) / (2 * 6.0**2))
    return 10 * total / 4 / len(REFERENCES[item])


@pytest.mark.parametrize("name", ["good", "empty"])
def test_values_agree_with_a_literal_reading_of_the_definitions(scores, name):
    captions, found = SETS[name], scores[name]
    rouge = [literal_rouge_l(captions[item], refs) for item, refs in REFERENCES.items()]
    cider = [literal_cider_d(item, captions[item]) for item in REFERENCES]
    assert found.values["bleu4"] == pytest.approx(literal_bleu4(captions), abs=1e-8)
    assert found.values["rouge_l"] == pytest.approx(np.mean(rouge), abs=1e-12)
    assert found.values["cider"] == pytest.approx(np.mean(cider), abs=1e-12)
    assert found.items["rouge_l"] == pytest.approx(rouge, abs=1e-12)
    assert found.items["cider"] == pytest.approx(cider, abs=1e-12)


@pytest.mark.parametrize("name", ["empty", "only punctuation"])
def test_a_caption_without_words_scores_0_everywhere_and_keeps_its_place(scores, name):
    whole, found = scores["good"].items, scores[name].items
    for metric in ("cider", "rouge_l", "meteor"):
        assert found[metric][1] == 0.0
        assert [found[metric][0], found[metric][2]] == [whole[metric][0], whole[metric][2]]
    assert found["bleu4_statistics"][1] == [
        0,
        4,
        *[0] * 8,
    ]  # the closest reference is the shorter one, of 4 words
    assert scores[name].values["meteor"] < scores["good"].values["meteor"]


@pytest.mark.parametrize("name", ["return", "bars"])
def test_a_line_separator_in_one_caption_changes_no_score(scores, name):
    assert scores[name] == scores["good"]


def test_all_sets_share_one_tokenizer_and_one_meteor_process(scores, started):
    assert len(started) == 2


def test_summed_statistics_give_meteor_of_the_set_and_single_ones_of_each_item(scores):
    for found in scores.values():
        statistics = np.array(found.items["meteor_statistics"])
        assert meteor_of(statistics) == pytest.approx(found.items["meteor"], abs=1e-12)
        assert meteor_of(statistics.sum(axis=0)) == pytest.approx(found.values["meteor"], abs=1e-12)


HAND_REFERENCES = {
    "same": ["red dog runs"],
    "two of three": ["green cat walks"],
    "nothing": ["birds sing"],
    "stems": ["the dogs run"],
    "phrase": ["he stood in the vicinity of trees"],
}
HAND = {
    "same": "red dog runs",
    "two of three": "green cat swims",
    "stems": "the dog run",
    "nothing": "blue box",
}


@pytest.fixture(scope="module")
def by_hand():
    """item -> METEOR and its statistics; METEOR of the set."""
    captions = HAND | {"phrase": "he stood close to trees"}
    found = score_captions(HAND_REFERENCES, {"x": captions}, ("meteor",))["x"]
    pairs = zip(found.items["meteor"], found.items["meteor_statistics"], strict=True)
    return dict(zip(sorted(HAND_REFERENCES), pairs, strict=True)), found.values["meteor"]


def test_meteor_of_an_item_by_hand(by_hand):
    score = {item: score for item, (score, _) in by_hand[0].items()}
    assert score["same"] == 1.0
    assert score["nothing"] == 0.0
    # precision = recall = 2/3; one chunk of two matches; penalty 0.6 * (1/2) ** 0.2
    assert score["two of three"] == pytest.approx(2 / 3 * (1 - 0.6 * 0.5**0.2), abs=1e-12)
    # content words weigh 0.75 (dogs, by its stem, 0.6 of that), the function word 0.25; one chunk: no penalty
    assert score["stems"] == pytest.approx((0.75 * 1.6 + 0.25) / (0.75 * 2 + 0.25), abs=1e-12)


def test_meteor_knows_paraphrases_from_the_part_of_the_table_that_it_is_given(by_hand):
    assert sum(by_hand[0]["phrase"][1][16:20]) > 0


def test_the_set_s_meteor_is_of_summed_counts_and_not_the_mean_of_items(by_hand):
    items, of_set = by_hand
    assert of_set == pytest.approx(meteor_of(np.sum([s for _, s in items.values()], axis=0)), abs=1e-12)
    assert abs(of_set - np.mean([score for score, _ in items.values()])) > 0.01


def test_an_item_that_matches_whole_adds_no_chunk(by_hand):
    # five of six words match, in the one chunk of the item that does not match whole
    sums = np.sum([by_hand[0]["same"][1], by_hand[0]["two of three"][1]], axis=0)
    assert meteor_of(sums) == pytest.approx(5 / 6 * (1 - 0.6 * (1 / 5) ** 0.2), abs=1e-12)


@pytest.mark.parametrize(
    ("references", "captions", "message"),
    [
        ({"v1": ["a"], "v2": []}, {"v1": "a", "v2": "b"}, "without a reference: 'v2'"),
        ({"v1": ["a"], "v2": ["b"]}, {"v1": "a"}, "mine: no caption for items 'v2'"),
        ({"v1": ["a"]}, {"v1": "a", "v7": "b"}, "mine: captions of items that have no references: 'v7'"),
        ({}, {}, "no items"),
    ],
)
def test_items_that_do_not_fit_are_named(references, captions, message):
    with pytest.raises(ValueError, match=message):
        score_captions(references, {"mine": captions}, ("cider",))


def test_references_that_hold_no_word_are_named():
    with pytest.raises(ValueError, match="hold no word: 'v2'"):
        score_captions({"v1": ["a dog"], "v2": ["...", ""]}, {"x": {"v1": "a", "v2": "b"}}, ("cider",))


@pytest.mark.parametrize(
    ("metrics", "message"), [(("spice",), "no caption metric 'spice'"), (("cider",) * 2, "twice")]
)
def test_metrics_that_cannot_be_asked_for_are_named(metrics, message):
    with pytest.raises(ValueError, match=message):
        score_captions(REFERENCES, {"x": GOOD}, metrics)


def test_meteor_is_not_started_when_nobody_asks_for_it(monkeypatch):
    monkeypatch.setattr(captioning, "meteor", None)
    monkeypatch.setattr(captioning, "tokenised", lambda texts: texts)
    found = score_captions(REFERENCES, {"x": GOOD}, ("bleu4", "rouge_l"))["x"]
    assert sorted(found.values) == ["bleu4", "rouge_l"]
    assert sorted(found.items) == ["bleu4_statistics", "rouge_l"]
