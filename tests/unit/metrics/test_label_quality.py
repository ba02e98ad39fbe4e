"""Labels judged: by hand, against a slow literal reading of the definition, and by people's CSV."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.metrics.label_quality import (
    Caption,
    judge_labels,
    overlapping,
    read_judgements,
    read_truth,
    spread,
)
from retake.schema.quality import QualityFile

IDENTITY = {"labeller": "blip", "dataset": "films", "scale": "mini"}
TRUTH = [  # video, fact, words, start, end
    ("a", "actor", ["cat", "kitten"], 0.0, 8.0),
    ("a", "colour", ["red"], 0.0, 8.0),
    ("a", "place", ["beach"], None, None),
    ("a", "actor", ["dog"], 8.0, 16.0),
    ("a", "bystander", ["cat", "kitten"], 8.0, 16.0),
    ("b", "actor", ["dog"], None, None),
    ("b", "colour", ["blue"], None, None),
]
ASR = [
    ("a", 0.0, 8.2, "hello it is a Kitten"),  # right 1 (dog of the next scene is true, too, and unsaid)
    ("a", 8.2, 16.0, "welcome to my channel"),  # greets
    ("b", 0.0, 8.0, "the red one"),  # wrong 1: red is in no part of b
    ("b", 9.0, 15.0, "a red dog"),  # 1 right, 1 wrong: does not fit
]
LABELS = [
    ("a", 0.0, 8.0, "a red cat at the beach"),  # 3 right
    ("a", 8.0, 16.0, "a cat and a dog"),  # 2 right
    ("b", 0.0, 8.0, "a red cat"),  # 2 wrong
    ("b", 8.0, 16.0, "nothing here"),  # nothing
]


@pytest.fixture
def judged(tmp_path):
    def make(asr=ASR, labels=LABELS, truth=TRUTH, judgements=None):
        for name, rows in (("asr", asr), ("labels", labels)):
            columns = dict(
                zip(("video_id", "start_s", "end_s", "text_out"), zip(*rows, strict=True), strict=True)
            )
            pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        if truth is not None:
            names = ("video_id", "fact", "words", "start_s", "end_s")
            columns = dict(zip(names, map(list, zip(*truth, strict=True)), strict=True))
            pq.write_table(pa.table(columns), tmp_path / "truth.parquet")
        if judgements is not None:
            (tmp_path / "people.csv").write_text(judgements)
        file = judge_labels(
            asr=tmp_path / "asr.parquet",
            labels=tmp_path / "labels.parquet",
            truth=None if truth is None else tmp_path / "truth.parquet",
            judgements=None if judgements is None else tmp_path / "people.csv",
            identity=IDENTITY,
            out=tmp_path / "q.json",
            clips_out=tmp_path / "q.parquet",
        )
        assert QualityFile.read(tmp_path / "q.json") == file
        return file, pq.read_table(tmp_path / "q.parquet").to_pylist()

    return make


def test_captions_are_judged_as_by_hand(judged):
    file, rows = judged()
    assert file.judged_by == "truth"
    assert file.clips == {"asr": 4, "pseudo": 4}
    assert [(r["row"], r["right"], r["wrong"], r["verdict"]) for r in rows] == [
        ("asr", 1, 0, "fits"),
        ("asr", 0, 0, "greets"),
        ("asr", 0, 1, "chat"),
        ("asr", 1, 1, "chat"),
        ("pseudo", 3, 0, "fits"),
        ("pseudo", 2, 0, "fits"),
        ("pseudo", 0, 2, "wrong"),
        ("pseudo", 0, 0, "wrong"),
    ]
    asr, pseudo = file.values["asr"], file.values["pseudo"]
    assert (asr["label_fits"], asr["label_greets"], asr["label_chat"]) == (0.25, 0.25, 0.5)
    assert pseudo["label_fits"] == 0.5
    assert "label_chat" not in pseudo
    # a0: 3 against 1; a1: 2 against 0; b0: -2 against -1; b1: 0 against 0, a tie
    assert (pseudo["label_better"], pseudo["label_tied"]) == (0.625, 0.25)
    assert asr["label_better"] == 0.375
    assert asr["label_words"] == np.mean([5, 4, 3, 3])
    assert asr["label_distinct"] == 1.0
    assert file.differences["label_fits"].value == 0.25
    assert file.differences["label_better"].value == pytest.approx(2 * 0.625 - 1)


def literal_fits(text, video, start, end):
    """The definition, word for word: more mentioned facts are the clip's than are not."""
    said = set(re.findall(r"[a-z0-9]+", text.lower()))
    every = {frozenset(words) for _, _, words, *_ in TRUTH}
    here = {
        frozenset(words)
        for name, _, words, begins, ends in TRUTH
        if name == video and (begins is None or (begins < end and ends > start))
    }
    mentioned = {words for words in every if words & said}
    return len(mentioned & here) > len(mentioned - here)


def test_chance_is_how_often_captions_fit_clips_of_other_videos(judged):
    file, _ = judged()
    for row, captions in (("asr", ASR), ("pseudo", LABELS)):
        shares = []
        for video, _, _, text in captions:
            others = [one for one in captions if one[0] != video]
            shares.append(np.mean([literal_fits(text, *one[:3]) for one in others]))
        own = np.mean([literal_fits(one[3], *one[:3]) for one in captions])
        assert file.values[row]["label_permuted"] == pytest.approx(np.mean(shares))
        assert file.values[row]["label_fits"] == own
        assert file.gains[row].value == pytest.approx(own - np.mean(shares))


def test_a_label_that_is_always_right_gains_and_one_that_is_dealt_out_does_not(judged):
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(30)]
    truth = [(f"v{n}", "actor", [words[n % 30]], 0.0, 8.0) for n in range(90)]
    right = [(f"v{n}", 0.0, 8.0, f"a {words[n % 30]}") for n in range(90)]
    dealt = [(v, s, e, f"a {words[int(rng.integers(30))]}") for v, s, e, _ in right]
    file, _ = judged(asr=dealt, labels=right, truth=truth)
    assert file.values["pseudo"]["label_fits"] == 1.0
    assert file.gains["pseudo"].low > 0.9
    assert file.gains["asr"].low < 0.02
    assert file.differences["label_fits"].low > 0.8


def test_an_interval_is_over_videos_and_covers_what_it_should():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(60):
        shares = rng.beta(4, 4, size=80)  # of each video; its clips go together
        side = {f"v{n}": (float(rng.binomial(4, share)), 4) for n, share in enumerate(shares)}
        found = spread([side], f"trial {trial}")
        assert found.value == pytest.approx(sum(s for s, _ in side.values()) / 320)
        covered += found.low <= 0.5 <= found.high
    assert covered >= 51  # of 60; 95% are 57
    assert spread([side], "x") == spread([side], "x")


def test_speech_is_that_which_overlaps_the_clip_longest():
    spoken = [Caption("a", 0.0, 3.0, "x"), Caption("a", 3.0, 9.0, "y"), Caption("a", 11.0, 20.0, "z")]
    assert overlapping(Caption("a", 0.0, 8.0, ""), spoken).text == "y"
    assert overlapping(Caption("a", 0.0, 6.0, ""), spoken).text == "x"  # both three seconds: the earlier
    assert overlapping(Caption("a", 16.0, None, ""), spoken).text == "z"
    assert overlapping(Caption("a", 9.0, 11.0, ""), spoken) is None
    assert overlapping(Caption("a", 9.0, 11.0, ""), []) is None


def test_a_clip_in_which_nothing_is_spoken_is_better_told_by_whoever_is_right(judged):
    file, _ = judged(asr=[("b", 0.0, 8.0, "the red one")], labels=LABELS[:2])
    assert file.values["pseudo"]["label_better"] == 1.0


def test_facts_without_times_are_true_of_every_part(judged):
    file, _ = judged(labels=[("b", 1000.0, 1008.0, "a blue dog")])
    assert file.values["pseudo"]["label_fits"] == 1.0


def test_without_a_judge_only_lengths_are_known(judged):
    file, rows = judged(truth=None)
    assert file.judged_by == "nobody"
    assert file.values["pseudo"] == {"label_words": (6 + 5 + 3 + 2) / 4, "label_distinct": 1.0}
    assert rows == []
    assert file.differences == {}
    assert file.clips == {"asr": 4, "pseudo": 4}


HEADER = "video_id,start_s,end_s,asr,pseudo,better\n"


def test_people_win_over_the_truth(judged):
    people = (
        HEADER
        + "a,0,8,fits,fits,pseudo\na,8,16,greets,fits,pseudo\nb,0,8,chat,wrong,equal\nb,8.5,16,chat,fits,asr\n"
    )
    file, rows = judged(judgements=people)
    assert file.judged_by == "people"
    assert rows == []
    assert file.clips == {"asr": 4, "pseudo": 4}
    assert file.values["asr"] | {"label_words": 0} == {
        "label_fits": 0.25,
        "label_greets": 0.25,
        "label_chat": 0.5,
        "label_better": 0.375,
        "label_tied": 0.25,
        "label_words": 0,
        "label_distinct": 1.0,
    }
    assert file.values["pseudo"]["label_fits"] == 0.75
    assert file.values["pseudo"]["label_better"] == 0.625
    assert file.differences["label_fits"].value == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,start\n", "line 1: 'video,start'; expected video_id,start_s"),
        (HEADER, "no row"),
        (HEADER + "a,0,8,wrong,fits,asr\n", "line 2: asr 'wrong'; expected fits, greets, chat"),
        (HEADER + "a,0,8,fits,good,asr\n", "line 2: pseudo 'good'; expected fits, wrong"),
        (HEADER + "a,0,8,fits,fits,both\n", "line 2: better 'both'; expected asr, pseudo, equal"),
        (HEADER + "a,0,8,fits,fits,asr\na,0,8,fits,fits,asr\n", "line 3: video 'a' from 0 s stands twice"),
        (HEADER + "a,8,8,fits,fits,asr\n", "line 2: '8' to '8'; expected seconds"),
        (HEADER + "a,x,8,fits,fits,asr\n", "line 2: 'x' to '8'"),
    ],
)
def test_broken_judgements_are_named_by_their_line(tmp_path, text, said):
    (tmp_path / "people.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"people\.csv: {said}"):
        list(read_judgements(tmp_path / "people.csv"))


def test_a_caption_without_text_and_a_table_without_captions_are_errors(judged):
    with pytest.raises(ValueError, match=r"labels\.parquet: row 1: video 'a' has no text"):
        judged(labels=[LABELS[0], ("a", 8.0, 16.0, None)])
    with pytest.raises(ValueError, match=r"asr\.parquet: no caption"):
        judged(asr=[("a", 0.0, 8.0, None)])


def test_the_file_is_the_same_every_time(judged):
    one, other = (judged()[0].text() for _ in range(2))
    assert one == other
    assert json.loads(one)["labeller"] == "blip"


def test_facts_with_the_same_words_are_one(tmp_path, judged):
    judged()
    truth = read_truth(tmp_path / "truth.parquet")
    assert len(truth.words) == len(set(truth.words)) == 5
