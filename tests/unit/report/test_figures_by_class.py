"""Precisions and gains class by class: numbers worked out by hand, classes in the stated order."""

import csv
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from retake.report.figures import draw_figure
from retake.report.figures_classes import over_seeds, pearson
from tests.unit.report import boxes

SVG = "{http://www.w3.org/2000/svg}"
BARS = {
    "kind": "class_bars", "title": "Which <classes>", "dataset": "films", "split": "val", "protocol": "centre",
    "variants": ["plain", "long"], "labels": {"long": "with $all$ of it"}, "seeds": [1],
}  # fmt: skip
GAINS = {
    "kind": "class_gains", "title": "Two gains", "dataset": "films", "split": "val", "protocol": "centre", "seeds": [1],
    "gains": [
        {"label": "by a bank", "over": "plain", "variant": "long"},
        {"label": "by depth", "over": "plain", "variant": "deep"},
    ],
}  # fmt: skip
# Of the classes sit, listen, talk, swim. sit: one box (b1); listen: a1, b1; talk: a0, a1, b0.
PLAIN = [
    ("a", 0, (0.1, 0.9, 0.9, 0.5)),  # listen: the surest is wrong; talk: right
    ("a", 1, (0.2, 0.8, 0.8, 0.4)),  # listen: right; talk: right
    ("b", 0, (0.9, 0.1, 0.1, 0.3)),  # sit: the surest is wrong; talk: right, the last of all
    ("b", 1, (0.5, 0.2, 0.2, 0.2)),  # sit: right; listen: right; talk: wrong
    ("c", None, (0.1, 0.7, 0.7, 0.1)),  # listen and talk: wrong
]
# sit: wrong, right: 1/2. listen: wrong, right (1/2), wrong, right (2/4), ...: monotone 1/2, mean 1/2.
# talk: right (1), right (1), wrong, wrong, right (3/5): mean (1 + 1 + 0.6) / 3.
PLAIN_AP = {"sit": 50.0, "listen to <one>": 50.0, "talk": 100 * 2.6 / 3}
BEST = [
    ("a", 0, (0.1, 0.1, 0.9, 0.5)),
    ("a", 1, (0.1, 0.9, 0.9, 0.4)),
    ("b", 0, (0.1, 0.1, 0.9, 0.3)),
    ("b", 1, (0.9, 0.9, 0.1, 0.2)),
]
# Nothing is found but one of three: talk 1/3, and of the others nothing.
ONE_OF_THREE = [("a", 0, (0.1, 0.1, 0.9, 0.5))]


def draw(folder, spec, inputs, name="figure"):
    out = folder / f"{name}.svg"
    draw_figure(
        method="demo", figure="f", spec=spec, inputs=inputs, out_svg=out, out_csv=out.with_suffix(".csv")
    )
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return out.read_bytes(), list(csv.DictReader(file))


def texts(svg):
    return [e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture
def inputs(tmp_path):
    """plain, long (all right) and deep (one of three talks)."""
    made = {"plain": PLAIN, "long": BEST, "deep": ONE_OF_THREE}
    return {
        "annotations": [boxes.annotations(tmp_path)],
        "predictions": [boxes.predictions(tmp_path, variant, answers) for variant, answers in made.items()],
    }


def test_precisions_are_those_worked_out_by_hand_and_classes_by_frequency(inputs, tmp_path):
    _, rows = draw(tmp_path, BARS, inputs)
    assert [(r["class"], r["boxes"], r["variant"]) for r in rows] == [
        (name, boxes_, variant)
        for name, boxes_ in (("talk", "3"), ("listen to <one>", "2"), ("sit", "1"), ("3", "0"))
        for variant in ("plain", "long")
    ]
    for row in rows[:6]:
        wanted = PLAIN_AP[row["class"]] if row["variant"] == "plain" else 100.0
        assert float(row["ap"]) == pytest.approx(wanted, abs=1e-9)
        assert (float(row["error"]), row["seeds"]) == (0.0, "1")
    assert [(r["ap"], r["error"]) for r in rows[6:]] == [("", "")] * 2  # no reference: no precision
    assert {r["name"] for r in rows} == {"plain", "with $all$ of it"}


def test_the_drawing_has_the_classes_and_says_what_is_left_out(inputs, tmp_path):
    svg, _ = draw(tmp_path, BARS, inputs)
    said = texts(svg)
    assert {"talk", "listen to <one>", "sit", "Which <classes>", "with $all$ of it", "plain"} <= set(said)
    assert "3" not in said[: said.index("sit") + 1]
    assert "class, by falling number of labelled boxes (1 without any left out)" in said
    assert svg == draw(tmp_path, BARS, inputs, "again")[0]


def test_bars_are_as_high_as_the_csv_says(inputs, tmp_path):
    """Six bars; their heights are as the precisions are."""
    svg, rows = draw(tmp_path, BARS, inputs)
    paths = re.findall(
        r'<path d="(M [^"]*z\s*)" clip-path="[^"]*" style="fill: #(?:9aa1ab|1f6fb4)', svg.decode()
    )
    tall = []
    for path in paths:
        ys = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path)]
        tall.append(max(ys) - min(ys))
    assert len(tall) == 6
    wanted = [float(r["ap"]) for v in BARS["variants"] for r in rows if r["variant"] == v and r["ap"]]
    assert np.allclose(np.array(tall) / tall[-1], np.array(wanted) / wanted[-1], atol=1e-3)


def test_seeds_are_averaged_with_one_standard_error(inputs, tmp_path):
    inputs["predictions"].append(boxes.predictions(tmp_path, "plain", BEST, seed=2))
    inputs["predictions"].append(boxes.predictions(tmp_path, "long", BEST, seed=2))
    svg, rows = draw(tmp_path, BARS | {"seeds": [1, 2]}, inputs)
    talk = next(r for r in rows if r["class"] == "talk" and r["variant"] == "plain")
    assert float(talk["ap"]) == pytest.approx((PLAIN_AP["talk"] + 100) / 2)
    assert float(talk["error"]) == pytest.approx(
        (100 - PLAIN_AP["talk"]) / 2
    )  # of two values: half their distance
    assert talk["seeds"] == "2"
    assert b"LineCollection" in svg  # the bars of errors


def test_the_standard_error_is_the_samples():
    mean, error = over_seeds(np.array([1.0, 2.0, 6.0]))
    assert (mean, error) == (3.0, pytest.approx(math.sqrt((4 + 1 + 9) / 2 / 3)))
    assert over_seeds(np.array([4.0])) == (4.0, 0.0)


def test_classes_without_a_name_are_called_their_number(inputs, tmp_path):
    inputs["annotations"] = [boxes.annotations(tmp_path, names=False)]
    _, rows = draw(tmp_path, BARS, inputs)
    assert [r["class"] for r in rows[::2]] == ["2", "1", "0", "3"]


def test_gains_stand_side_by_side_with_their_correlation(inputs, tmp_path):
    svg, rows = draw(tmp_path, GAINS, inputs)
    by_bank = {"talk": 100 * 0.4 / 3, "listen to <one>": 50.0, "sit": 50.0}
    by_depth = {"talk": (100 - 260) / 3, "listen to <one>": -50.0, "sit": -50.0}
    assert [r["class"] for r in rows] == ["talk", "listen to <one>", "sit", "3"]
    for row in rows[:3]:
        assert float(row["gain_x"]) == pytest.approx(by_bank[row["class"]])
        assert float(row["gain_y"]) == pytest.approx(by_depth[row["class"]])
    assert rows[3]["gain_x"] == rows[3]["gain_y"] == ""
    wanted = pd.Series(by_bank).corr(pd.Series(by_depth))
    assert [float(r["pearson"]) for r in rows] == pytest.approx([wanted] * 4)
    said = " ".join(texts(svg))
    assert f"Pearson's correlation over 3 classes: {wanted:+.2f}" in said
    assert "by a bank [points of AP]" in said
    assert "by depth [points of AP]" in said


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        ([1, 2, 3], [2, 4, 6], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
        ([1, 2, 4], [1, 3, 2], 1 / math.sqrt(14 / 3 * 2)),  # products sum to 1, squares to 14/3 and 2
        ([1, 2], [1, 2], math.nan),
        ([1, 1, 1], [1, 2, 3], math.nan),
        ([], [], math.nan),
    ],
)
def test_the_correlation_is_pearsons(x, y, wanted):
    found = pearson(np.array(x, float), np.array(y, float))
    assert math.isnan(found) if math.isnan(wanted) else found == pytest.approx(wanted, abs=1e-12)


def test_a_correlation_that_is_not_defined_is_said_so(inputs, tmp_path):
    spec = GAINS | {"gains": [GAINS["gains"][0] | {"over": "long", "variant": "also"}, GAINS["gains"][1]]}
    inputs["predictions"].append(boxes.predictions(tmp_path, "also", BEST))
    svg, rows = draw(tmp_path, spec, inputs)
    assert {r["pearson"] for r in rows} == {""}
    assert "Pearson's correlation over 3 classes: not defined" in " ".join(texts(svg))


def test_an_item_without_an_answer_counts_as_not_found(inputs, tmp_path):
    """deep answers one item of three, with the one box of talk that is found: a third, and nothing of the others."""
    _, rows = draw(tmp_path, BARS | {"variants": ["deep", "long"], "labels": {}}, inputs)
    found = {r["class"]: float(r["ap"]) for r in rows if r["variant"] == "deep" and r["ap"]}
    assert found == {"talk": pytest.approx(100 / 3), "listen to <one>": 0.0, "sit": 0.0}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([("z", 0, (0.1, 0.2, 0.3, 0.4))], "item 'z' is not in split 'val' of "),
        ([("a", 0, (0.1, 0.2, 0.3, 0.4)), ("b", 0, (0.1,))], "rows have different numbers of scores"),
        ([("a", 0, (0.1, 0.2))], "item 'a' has label 2; there are 2 classes"),
        ([("a", 0, (0.1, 0.2, 0.3, 0.4, 0.5))], "scores of 4 classes; others have 5"),
        ([("a", 0, (0.1, 0.2, math.nan, 0.4))], "row 0 has a score that is no number"),
    ],
)
def test_answers_that_do_not_fit_are_errors_with_their_file(inputs, tmp_path, answers, said):
    boxes.predictions(tmp_path, "plain", answers)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        draw(tmp_path, BARS, inputs)
    assert ".parquet" in str(error.value)


def test_a_missing_run_and_a_split_without_labels_are_errors(inputs, tmp_path):
    with pytest.raises(ValueError, match="no predictions of wide on films, seed 1"):
        draw(tmp_path, BARS | {"variants": ["plain", "wide"]}, inputs)
    with pytest.raises(ValueError, match="no predictions of plain on films, seed 3"):
        draw(tmp_path, BARS | {"seeds": [1, 3]}, inputs)
    with pytest.raises(ValueError, match="split 'test' has no box with a label"):
        draw(tmp_path, BARS | {"split": "test"}, inputs)
    with pytest.raises(ValueError, match="expected one annotation table"):
        draw(tmp_path, BARS, inputs | {"annotations": []})


def test_an_item_that_was_seen_without_a_box_has_an_empty_row(inputs, tmp_path):
    path = inputs["predictions"][1]
    table = pd.read_parquet(path)
    empty = pd.DataFrame([{"item_id": "c", "box_xyxy": [], "scores": []}])
    pd.concat([table, empty]).to_parquet(path)
    _, rows = draw(tmp_path, BARS, inputs)
    assert {float(r["ap"]) for r in rows if r["variant"] == "long" and r["ap"]} == {100.0}
