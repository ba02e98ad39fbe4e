"""Figures: the stated rule picks, the CSV says all that is drawn, the drawing is the same every time."""

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retake.report.figures import draw_figure
from retake.report.figures_captions import EDGE, picture
from tests.unit.report import pages

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn(tmp_path):
    def draw(name="figure_3", spec=pages.SPEC, inputs=None):
        inputs = inputs or pages.runs(tmp_path)
        out = tmp_path / f"{name}.svg"
        draw_figure(
            method="demo", figure=name, spec=spec, inputs=inputs, out_svg=out, out_csv=out.with_suffix(".csv")
        )
        with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
            return out, list(csv.DictReader(file)), inputs

    return draw


def test_the_largest_gain_of_each_data_set_and_the_largest_loss_of_all_are_shown(drawn):
    _, rows, _ = drawn()
    assert [(r["dataset"], r["video_id"], r["rule"]) for r in rows] == [
        ("msrvtt", "v0", "largest gain"),
        ("msvd", "v1", "largest gain"),
        ("msvd", "v2", "largest loss"),
    ]
    assert rows[1]["difference"] == "+120.00"  # from 0.2 to 1.4, printed times 100
    assert rows[1]["caption_step2"] == pages.HOSTILE
    assert rows[1]["reference"] == "reference 0 of v1"


def test_no_video_is_shown_twice(drawn):
    pick = [{"dataset": "msrvtt", "rule": "largest_gain"}] * 2
    _, rows, _ = drawn(spec=pages.SPEC | {"pick": pick})
    assert [r["video_id"] for r in rows] == ["v0", "v1"]
    assert rows[1]["rule"] == "largest gain (none gained)"


def test_a_tie_goes_to_the_first_by_name(drawn, tmp_path):
    inputs = pages.runs(tmp_path)
    for path in inputs["per_item"]:
        pd.read_parquet(path).assign(cider=0.5).iloc[::-1].to_parquet(path)
    _, rows, _ = drawn(inputs=inputs, spec=pages.SPEC | {"pick": pages.SPEC["pick"][:2]})
    assert [r["video_id"] for r in rows] == ["v0", "v0"]


def test_frames_are_the_shown_videos_own_from_first_to_last(drawn):
    path, rows, _ = drawn()
    assert rows[1]["rows"] == "6;8;9;11"  # v1 is the second video of six frames
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    uris = {e.get("id"): e.get("href") for e in root.iter(f"{SVG}image")}
    assert len(uris) == 12
    assert uris["video1_frame0"] == picture(pages.video(1)[0])
    assert uris["video1_frame3"] == picture(pages.video(1)[5])


def test_hostile_captions_are_text_in_a_valid_drawing(drawn):
    path, _, _ = drawn()
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.find(f".//{SVG}script") is None
    said = " ".join(e.text or "" for e in root.iter(f"{SVG}text"))
    assert "<script>alert(1)</script>" in said
    assert "\x0b" not in text


def test_the_same_inputs_give_the_same_bytes(drawn, tmp_path):
    first, _, inputs = drawn()
    again, _, _ = drawn("again", inputs=inputs)
    assert first.read_bytes() == again.read_bytes()
    assert first.with_suffix(".csv").read_bytes() == again.with_suffix(".csv").read_bytes()


def test_large_frames_are_made_smaller():
    large = np.zeros((EDGE * 3, EDGE * 2, 3), np.uint8)
    assert (
        len(picture(np.random.default_rng(0).integers(0, 255, large.shape).astype(np.uint8)))
        < EDGE * EDGE * 3 * 1.5
    )
    assert picture(large) == picture(np.zeros((EDGE, EDGE * 2 // 3, 3), np.uint8))


def test_an_item_without_frames_is_an_error_that_names_it(drawn, tmp_path):
    inputs = pages.runs(tmp_path)
    path = inputs["media"][0]
    pd.read_parquet(path).query("video_id != 'v1'").to_parquet(path)
    with pytest.raises(ValueError, match="no frames of video 'v1'"):
        drawn(inputs=inputs)


def test_a_variant_that_was_not_run_is_an_error(drawn, tmp_path):
    inputs = pages.runs(tmp_path)
    inputs["per_item"] = [p for p in inputs["per_item"] if "step2/msvd" not in p.as_posix()]
    with pytest.raises(ValueError, match="no items file of step2 on msvd, seed 1"):
        drawn(inputs=inputs)


def test_an_unknown_kind_is_an_error(drawn):
    with pytest.raises(ValueError, match="kind 'pie': expected one of captions, lines, bars, signals"):
        drawn(spec=pages.SPEC | {"kind": "pie"})


def line_inputs(root: Path) -> dict:
    paths = []
    for variant, seed, score in (("few", 1, 0.1), ("few", 2, 0.3), ("many", 1, 0.5)):
        path = root / "demo" / variant / "msvd" / f"seed{seed}" / "beam5" / "test.parquet"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"item_id": ["a", "b"], "cider": [score - 0.05, score + 0.05]}).to_parquet(path)
        paths.append(path)
    return {"predictions": [], "per_item": paths, "annotations": [root], "media": [root]}


def test_lines_have_the_mean_and_one_standard_error_over_seeds(drawn, tmp_path):
    spec = {
        "kind": "lines",
        "title": "Sweep",
        "metric": "cider",
        "variants": ["many", "few"],
        "datasets": ["msvd"],
    }
    spec |= {"x": {"label": "frames", "values": {"few": 8, "many": 16}}}
    inputs = line_inputs(tmp_path)
    path, rows, _ = drawn("sweep", spec, inputs)
    assert [(r["series"], float(r["x"]), r["seeds"]) for r in rows] == [("msvd", 8, "2"), ("msvd", 16, "1")]
    assert [float(rows[0][k]) for k in ("low", "y", "high")] == pytest.approx([10, 20, 30])
    assert "Sweep" in path.read_text(encoding="utf-8")
    assert path.read_bytes() == drawn("again", spec, inputs)[0].read_bytes()


BARS = {
    "kind": "bars", "title": "Starts", "metric": "cider", "variants": ["many", "few"], "datasets": ["msvd"],
    "labels": {"few": "eight frames"}, "seed": 1,
}  # fmt: skip


def test_bars_have_means_over_items_and_gaps_to_the_first(drawn, tmp_path):
    inputs = {"per_item": line_inputs(tmp_path)["per_item"]}
    path, rows, _ = drawn("bars", BARS, inputs)
    assert [(r["variant"], r["label"], r["items"]) for r in rows] == [
        ("many", "many", "2"),
        ("few", "eight frames", "2"),
    ]
    assert [float(r["value"]) for r in rows] == pytest.approx([50, 10])
    assert [float(r["gap"]) for r in rows] == pytest.approx([0, 40])
    said = [e.text for e in ElementTree.fromstring(path.read_text(encoding="utf-8")).iter(f"{SVG}text")]
    assert {"50.0", "10.0 (-40.0)", "many", "eight frames", "Starts"} <= set(said)
    assert path.read_bytes() == drawn("again", BARS, inputs)[0].read_bytes()


def test_bars_of_a_run_that_is_not_there_or_without_the_metric_are_errors(drawn, tmp_path):
    inputs = {"per_item": line_inputs(tmp_path)["per_item"]}
    with pytest.raises(ValueError, match="no items file of many on msvd, seed 2"):
        drawn("bars", BARS | {"seed": 2}, inputs)
    with pytest.raises(ValueError, match="no column 'bleu4'; have item_id, cider"):
        drawn("bars", BARS | {"metric": "bleu4"}, inputs)
