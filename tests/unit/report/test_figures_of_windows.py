"""Gains against windows, and examples of them: shares worked out by hand, boxes where they belong."""

import base64
import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from retake.report.figures import draw_figure
from retake.report.figures_examples import AXIS, CURVE, TALL, WIDE
from retake.report.figures_windows import PERCENT

SVG = "{http://www.w3.org/2000/svg}"
AVA = {
    "dataset": "films", "metric": "map", "base": "plain", "protocol": "centre", "split": "val", "label": None,
    "points": [
        {"variant": "w4", "window_s": 4, "protocol": None},
        {"variant": "w8", "window_s": 8, "protocol": None},
        {"variant": "w8", "window_s": 16, "protocol": "wide"},
    ],
}  # fmt: skip
EPIC = {
    "dataset": "verbs", "metric": "top1", "base": "plain", "protocol": "centre", "split": "val", "label": "Verbs <all>",
    "points": [{"variant": "w4", "window_s": 15, "protocol": None}],
}  # fmt: skip
WINDOWS = {"kind": "windows", "title": "A longer window", "lines": [AVA, EPIC], "seeds": [1, 2], "log": True}
VALUES = {  # variant, data set, protocol -> one value a seed
    ("plain", "films", "centre"): (0.2, 0.4),
    ("w4", "films", "centre"): (0.22, 0.44),  # 10 percent more by both
    ("w8", "films", "centre"): (0.25, 0.4),  # 25 and 0
    ("w8", "films", "wide"): (0.1, 0.5),  # -50 and 25
    ("plain", "verbs", "centre"): (0.5, 0.5),
    ("w4", "verbs", "centre"): (0.55, 0.6),  # 10 and 20
}


def metrics_files(folder, values=VALUES):
    paths = []
    for (variant, dataset, protocol), of_seeds in values.items():
        for seed, value in enumerate(of_seeds, 1):
            path = folder / f"metrics/demo/{variant}/{dataset}/seed{seed}/{protocol}/val.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            said = {
                "method": "demo",
                "variant": variant,
                "dataset": dataset,
                "split": "val",
                "protocol": protocol,
            }
            said |= {"seed": seed, "scale": "mini", "items": 3, "items_of": 3, "digests": {}, "record": {}}
            said["values"] = {"map" if dataset == "films" else "top1": value}
            path.write_text(json.dumps(said), encoding="utf-8")
            paths.append(path)
    return paths


def draw(folder, spec, inputs, **given):
    out = folder / "figure.svg"
    draw_figure(
        method="demo", figure="f", spec=spec, inputs=inputs, out_svg=out, out_csv=out.with_suffix(".csv"), **given
    )  # fmt: skip
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return out.read_bytes(), list(csv.DictReader(file))


def test_gains_are_shares_of_the_base_seed_by_seed(tmp_path):
    svg, rows = draw(tmp_path, WINDOWS, {"metrics": metrics_files(tmp_path)})
    said = {(r["series"], float(r["x"])): (float(r["y"]), float(r["high"]) - float(r["y"])) for r in rows}
    assert said == {
        ("films", 4.0): (pytest.approx(10), pytest.approx(0, abs=1e-9)),
        ("films", 8.0): (
            pytest.approx(12.5),
            pytest.approx(12.5),
        ),  # of two values the error is half their distance
        ("films", 16.0): (pytest.approx(-12.5), pytest.approx(37.5)),
        ("Verbs <all>", 15.0): (pytest.approx(15), pytest.approx(5)),
    }
    assert all(
        float(r["y"]) - float(r["low"]) == pytest.approx(float(r["high"]) - float(r["y"])) for r in rows
    )
    assert {r["seeds"] for r in rows} == {"2"}
    texts = {e.text for e in ElementTree.fromstring(svg).iter(f"{SVG}text")}
    assert {"films (mAP)", "Verbs <all> (top-1)", "4", "8", "15", "16", "A longer window"} <= texts
    assert svg == draw(tmp_path, WINDOWS, {"metrics": metrics_files(tmp_path)})[0]


def test_one_seed_has_no_band(tmp_path):
    _, rows = draw(tmp_path, WINDOWS | {"seeds": [2]}, {"metrics": metrics_files(tmp_path)})
    assert {(r["low"] == r["y"], r["high"] == r["y"], r["seeds"]) for r in rows} == {(True, True, "1")}
    assert [float(r["y"]) for r in rows] == pytest.approx([10, 0, 25, 20])
    assert PERCENT == 100.0


def test_runs_that_are_missing_or_no_base_are_errors(tmp_path):
    files = metrics_files(tmp_path)
    with pytest.raises(ValueError, match="no metrics file of w4 on films, val, centre, seed 3"):
        draw(tmp_path, WINDOWS | {"seeds": [1, 2, 3], "lines": [AVA | {"base": "w4"}]}, {"metrics": files})
    with pytest.raises(ValueError, match="no metrics file of plain on films, val, centre, seed 1"):
        draw(tmp_path, WINDOWS, {"metrics": files[2:]})
    with pytest.raises(ValueError, match="no value of wap"):
        draw(tmp_path, WINDOWS | {"lines": [AVA | {"metric": "wap"}]}, {"metrics": files})
    with pytest.raises(ValueError, match="expected demo at paper"):
        draw(tmp_path, WINDOWS, {"metrics": files}, scale="paper")
    none = metrics_files(tmp_path, VALUES | {("plain", "films", "centre"): (0.2, 0.0)})
    with pytest.raises(ValueError, match="map of plain on films is not above 0"):
        draw(tmp_path, WINDOWS, {"metrics": none})


# --- examples ------------------------------------------------------------------------------------------------

EXAMPLES = {"kind": "examples_by_window", "title": "Who <listens>", "seed": 3}


@pytest.fixture
def taken(tmp_path):
    """Two keyframes of 20 x 40: a dark one with windows 4 and 8, a light one whose number is its class's name."""
    pictures = {
        "picture_0": np.full((20, 40, 3), 9, np.uint8),
        "picture_1": np.full((20, 40, 3), 200, np.uint8),
    }
    np.savez(tmp_path / "e.npz", **pictures)
    place = {"left": 0.25, "top": 0.5, "right": 0.75, "bottom": 1.0}
    rows = [
        {"example": n, "item_id": f"i{n}", "ref_id": f"i{n},0", "video_id": f"v<{n}>", "time_s": "2.000", **place}
        | {"label": n, "class": name, "variant": f"w{w}", "window_s": w, "probability": p}
        for n, name, curve in ((0, "listen <to>", {4: 0.25, 8: 1.0}), (1, "7", {4: 0.5, 8: 0.5}))
        for w, p in curve.items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "e.csv", index=False)
    return {"examples": tmp_path / "e.npz", "frames": tmp_path / "e.csv"}


def by_id(svg):
    return {e.get("id"): e for e in ElementTree.fromstring(svg).iter() if e.get("id")}


def test_keyframes_are_inside_with_their_boxes_over_them(taken, tmp_path):
    svg, rows = draw(tmp_path, EXAMPLES, taken)
    found = by_id(svg)
    for number, colour in ((0, 9), (1, 200)):
        image, box = found[f"keyframe{number}"], found[f"box{number}"]
        shown = imread(io.BytesIO(base64.b64decode(image.get("href").split(",")[1])), format="png")
        assert (np.rint(shown[..., :3] * 255) == colour).all()
        x, y, high = (float(image.get(key)) for key in ("x", "y", "height"))
        assert high == WIDE / 2
        assert [float(box.get(k)) for k in ("x", "y", "width", "height")] == [
            x + WIDE / 4,
            y + high / 2,
            WIDE / 2,
            high / 2,
        ]
    assert len(rows) == 4
    assert {r["array"] for r in rows} == {taken["examples"].as_posix()}
    assert svg == draw(tmp_path, EXAMPLES, taken)[0]


def test_curves_go_through_the_probabilities(taken, tmp_path):
    svg, _ = draw(tmp_path, EXAMPLES, taken)
    group = by_id(svg)["example0"]
    (line,) = group.iter(f"{SVG}polyline")
    (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in line.get("points").split())
    assert x2 - x1 == CURVE - 16
    assert y1 - y2 == pytest.approx(0.75 * TALL)
    image = by_id(svg)["keyframe0"]
    assert x1 > float(image.get("x")) + WIDE + AXIS
    texts = [e.text for e in group.iter(f"{SVG}text")]
    assert {"listen <to>", "v<0>, 2.000 s", "25%", "100%", "4", "8", "window (seconds)"} <= set(texts)


def test_the_rule_is_said_and_a_class_without_a_name_has_its_number(taken, tmp_path):
    svg, _ = draw(tmp_path, EXAMPLES, taken)
    root = ElementTree.fromstring(svg)
    said = [e.text or "" for e in root.iter(f"{SVG}text")]
    first, last = said[1:3]
    assert first == "Chosen by rule, not by hand: the right class's probability rises most"
    assert last == "from the shortest window to the longest; it does not in 1 of 2 (seed 3); no video twice."
    assert root.findtext(f"{SVG}title") == f"Who <listens>. {first} {last}"
    assert "7" in [e.text for e in by_id(svg)["example1"].iter(f"{SVG}text")]


def test_pictures_and_probabilities_that_are_none_are_errors(taken, tmp_path):
    table = pd.read_csv(taken["frames"])
    table.assign(probability=1.5).to_csv(taken["frames"], index=False)
    with pytest.raises(ValueError, match=r"item 'i0': probability 1.5 is not in \[0, 1\]"):
        draw(tmp_path, EXAMPLES, taken)
    np.savez(taken["examples"], picture_0=np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="no array 'picture_1'"):
        draw(tmp_path, EXAMPLES, taken)
