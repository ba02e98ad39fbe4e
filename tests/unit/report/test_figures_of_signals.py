"""Figures of coded frames and of costs: what is drawn is what the CSV says, in colours worked out by hand."""

import base64
import csv
import io
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from retake.report.figures import draw_figure
from retake.report.figures_embedding import in_plane
from retake.report.figures_signals import ROWS, coloured, magnitude

SVG = "{http://www.w3.org/2000/svg}"


def draw(folder, spec, inputs, **given):
    out = folder / "figure.svg"
    draw_figure(
        method="demo", figure="f", spec=spec, inputs=inputs, out_svg=out, out_csv=out.with_suffix(".csv"), **given
    )  # fmt: skip
    with out.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return out.read_bytes(), list(csv.DictReader(file))


# --- signals -------------------------------------------------------------------------------------------------

SIGNALS = {"kind": "signals", "title": "What <moves>"}


@pytest.fixture
def shown(tmp_path):
    """Two frames of 8 x 12: the second moves (3, 4) from the I-frame on, and is left over by -100 in green."""
    arrays = {"rgb": np.full((2, 8, 12, 3), 7, np.uint8)}
    for name, channels in (("motion_step", 2), ("motion", 2), ("residual_step", 3), ("residual", 3)):
        arrays[name] = np.zeros((2, 8, 12, channels), np.int16)
    arrays["motion"][1], arrays["motion_step"][1] = (3, 4), (1, 0)
    arrays["residual"][1, ..., 1], arrays["residual_step"][1] = -100, 10
    np.savez(tmp_path / "e.npz", **arrays)
    rows = [{"video": 0, "video_id": "v<1>", "number": n, "position": n, "time_s": n / 10} for n in (1, 7)]
    pd.DataFrame(rows).to_csv(tmp_path / "e.csv", index=False)
    return {"examples": tmp_path / "e.npz", "frames": tmp_path / "e.csv"}


def pixels(svg, name):
    """The colours of an image inside a drawing, (H, W, 3)."""
    image = next(e for e in ElementTree.fromstring(svg).iter(f"{SVG}image") if e.get("id") == name)
    data = base64.b64decode(image.get("href").split(",")[1])
    return np.rint(imread(io.BytesIO(data), format="png")[..., :3] * 255).astype(int)


def test_the_csv_says_of_each_picture_how_much_it_shows(shown, tmp_path):
    _, rows = draw(tmp_path, SIGNALS, shown)
    said = {(r["signal"], r["t"]): (r["mean"], r["full_strength"]) for r in rows}
    assert said["motion", "7"] == ("5.0000", "5.0000")  # 3, 4, 5
    assert said["motion_step", "7"] == ("1.0000", "5.0000")
    assert said["residual", "7"] == ("33.3333", "100.0000")  # one colour of three
    assert said["residual_step", "7"] == ("10.0000", "100.0000")
    assert {r["t"] for r in rows} == {"1", "7"}
    assert len(rows) == 2 * len(ROWS)


def test_motion_is_hue_and_saturation_and_residuals_are_absolute(shown, tmp_path):
    svg, _ = draw(tmp_path, SIGNALS, shown)
    assert (pixels(svg, "rgb_7") == 7).all()
    assert (pixels(svg, "motion_1") == 255).all()  # nothing moves: white
    assert (pixels(svg, "residual_1") == 0).all()
    assert (pixels(svg, "residual_7") == (0, 255, 0)).all()
    assert (pixels(svg, "residual_step_7") == 26).all()  # a tenth of 255, rounded
    assert (pixels(svg, "motion_step_7") == (255, 204, 204)).all()  # red at a fifth
    angle = math.degrees(math.atan2(4, 3))  # 53 degrees: between red and yellow
    assert (pixels(svg, "motion_7") == (255, round(255 * angle / 60), 0)).all()


@pytest.mark.parametrize(
    ("vector", "colour"),
    [((5, 0), (255, 0, 0)), ((-5, 0), (0, 255, 255)), ((0, 0), (255, 255, 255)), ((50, 0), (255, 0, 0))],
)
def test_directions_have_their_hues(vector, colour):
    field = np.full((1, 1, 2), vector, np.int16)
    assert coloured("motion", field, 5.0)[0, 0].tolist() == list(colour)


def test_lengths_do_not_overflow():
    assert magnitude(np.array([[300, 400]], np.int16)).tolist() == [500.0]
    assert magnitude(np.array([[-255, 3, 0]], np.int16)).tolist() == [[255.0, 3.0, 0.0]]


def test_names_are_text_and_bytes_are_the_same(shown, tmp_path):
    one, _ = draw(tmp_path, SIGNALS, shown)
    two, _ = draw(tmp_path, SIGNALS, shown)
    assert one == two
    said = [e.text for e in ElementTree.fromstring(one).iter(f"{SVG}text")]
    assert "What <moves>" in said
    assert any("v<1>" in (text or "") for text in said)
    assert {"t = 1", "t = 7", *ROWS.values()} <= set(said)


def test_arrays_of_other_frames_or_without_a_signal_are_errors(shown, tmp_path):
    pd.read_csv(shown["frames"]).iloc[:1].to_csv(shown["frames"], index=False)
    with pytest.raises(ValueError, match="other frames than in"):
        draw(tmp_path, SIGNALS, shown)
    np.savez(shown["examples"], rgb=np.zeros((1, 2, 2, 3)))
    with pytest.raises(ValueError, match="no array 'motion_step'"):
        draw(tmp_path, SIGNALS, shown)


# --- embedding -----------------------------------------------------------------------------------------------

EMBEDDING = {"kind": "embedding", "title": "Two videos", "perplexity": 5.0, "seed": 0}


@pytest.fixture
def two_videos(tmp_path):
    """Twelve frames each: far apart by their pictures, the same by their motion."""
    rng, turn = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    arrays = {}
    for video in (0, 1):
        arrays[f"rgb_{video}"] = (rng.normal(size=(12, 6)) + 50 * video).astype(np.float32)
        arrays[f"motion_{video}"] = circle + 0.01 * video
        arrays[f"residual_{video}"] = rng.normal(size=(12, 3)).astype(np.float32)
    np.savez(tmp_path / "t.npz", **arrays)
    rows = [
        {"video": v, "video_id": f"video{v}", "number": n + 1, "position": n, "time_s": 0.1 * n}
        for v in (0, 1)
        for n in range(12)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    return {"examples": tmp_path / "t.npz", "frames": tmp_path / "t.csv"}


def test_each_video_alone_and_both_together_a_place_a_frame(two_videos, tmp_path):
    svg, rows = draw(tmp_path, EMBEDDING, two_videos)
    table = pd.DataFrame(rows)
    counts = table.groupby(["signal", "space"]).size()
    assert sorted(set(counts.xs("joint space", level="space"))) == [24]
    assert sorted(set(counts.drop("joint space", level="space"))) == [12]
    assert len(counts) == 9
    alone = table[(table["signal"] == "rgb") & (table["space"] == "video 2")]
    assert alone["number"].astype(int).tolist() == list(range(1, 13))
    assert set(alone["video_id"]) == {"video1"}
    said = " ".join(e.text or "" for e in ElementTree.fromstring(svg).iter(f"{SVG}text"))
    assert all(word in said for word in ("RGB", "motion", "residual", "joint space", "video 2: video1"))


def test_what_lies_apart_is_apart_in_the_joint_space_and_what_is_alike_is_not(two_videos, tmp_path):
    _, rows = draw(tmp_path, EMBEDDING, two_videos)
    table = pd.DataFrame(rows).astype({"x": float, "y": float})
    joint = table[table["space"] == "joint space"]

    def apart(signal):
        one, two = (
            part[["x", "y"]].to_numpy() for _, part in joint[joint["signal"] == signal].groupby("video")
        )
        gap = np.linalg.norm(one.mean(axis=0) - two.mean(axis=0))
        return gap / np.linalg.norm(one - one.mean(axis=0), axis=1).mean()

    assert apart("rgb") > 2
    assert apart("motion") < 0.5


def test_the_plane_is_the_same_every_time_also_for_few_frames(two_videos, tmp_path):
    one, _ = draw(tmp_path, EMBEDDING, two_videos)
    two, _ = draw(tmp_path, EMBEDDING, two_videos)
    assert one == two
    few = np.arange(12.0).reshape(4, 3)
    assert in_plane(few, 30.0, 0).shape == (4, 2)  # a perplexity above the number of frames is cut


# --- cost_accuracy -------------------------------------------------------------------------------------------

POINTS = [
    {"label": "Ours", "input": "compressed", "times": "full", "scores": "full"},
    {"label": "Flows", "input": "rgb_flow", "times": "flows", "scores": "quoted"},
]
COSTS = {
    "kind": "cost_accuracy", "title": "Fast", "dataset": "clips", "metrics": ["ms_prepare", "ms_at_once"],
    "metric": "top1", "points": POINTS,
}  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    def cells(name, rows):
        keys = ("variant", "dataset", "metric", "paper", "ours")
        path = tmp_path / f"{name}.csv"
        pd.DataFrame([dict(zip(keys, row, strict=True)) for row in rows]).to_csv(path, index=False)
        return path

    times = cells("times", [
        ("full", "", "ms_prepare", "2.9", "2.0"), ("full", "", "ms_at_once", "0.3", "30.0"),
        ("full", "", "ms_in_turn", "1.3", "99.0"),
        ("flows", "", "ms_prepare", "75", "300"), ("flows", "", "ms_at_once", "0.9", "90"),
        ("lame", "", "ms_at_once", "", "5"),
    ])  # fmt: skip
    scores = cells("scores", [
        ("full", "clips", "top1", "90.4", "70.0"), ("full", "others", "top1", "59.1", "40.0"),
        ("quoted", "clips", "top1", "94.2", ""), ("blank", "clips", "top1", "", ""),
    ])  # fmt: skip
    index = tmp_path / "index.parquet"
    pd.DataFrame({"num_rows": [1000, 5000], "times_s": [[0.0] * 10, [0.0] * 20]}).to_parquet(index)
    return {"tables": [times, scores], "media": [index]}


def test_a_node_is_the_sum_of_times_the_accuracy_and_the_bytes_of_a_frame(tables, tmp_path):
    _, rows = draw(tmp_path, COSTS, tables, size=[10, 20], scale="mini")
    ours, flows = rows
    assert (ours["ms_per_frame"], ours["bytes_per_frame"]) == ("32.0", "200.0")  # 6000 bytes of 30 frames
    assert (flows["ms_per_frame"], flows["bytes_per_frame"]) == ("390.0", "1000.0")  # 10 x 20, 3 and 2 bytes


def test_a_mini_score_is_not_put_beside_others(tables, tmp_path):
    svg, rows = draw(tmp_path, COSTS, tables, size=[10, 20], scale="mini")
    assert [(r["accuracy"], r["said_by"], r["ours"]) for r in rows] == [
        ("90.4", "printed", "70.0"), ("94.2", "printed", ""),
    ]  # fmt: skip
    assert b"top-1 [percent], printed<" in svg
    svg, rows = draw(tmp_path, COSTS, tables, size=[10, 20], scale="paper")
    assert [(r["accuracy"], r["said_by"]) for r in rows] == [("70.0", "measured"), ("94.2", "printed")]
    assert b"top-1 [percent], printed and measured<" in svg


def test_nodes_are_named_marked_by_input_and_the_bytes_are_the_same(tables, tmp_path):
    one, _ = draw(tmp_path, COSTS, tables, size=[10, 20])
    two, _ = draw(tmp_path, COSTS, tables, size=[10, 20])
    assert one == two
    said = [e.text for e in ElementTree.fromstring(one).iter(f"{SVG}text")]
    assert {"Ours", "Flows", "compressed video", "RGB and flow"} <= set(said)
    assert "RGB" not in said  # nobody reads it
    assert not re.search(rb"<dc:date>", one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": "lame"}, "no ms_prepare of 'lame' was measured"),
        ({"scores": "nobody"}, "0 cells of 'nobody', top1 on clips"),
        ({"scores": "blank"}, "no accuracy of 'blank'"),
    ],
)
def test_a_system_without_a_time_or_a_score_is_an_error(change, message, tables, tmp_path):
    with pytest.raises(ValueError, match=f"demo: figures.f: .*{message}"):
        draw(tmp_path, COSTS | {"points": [POINTS[0] | change]}, tables, size=[10, 20])


def test_two_tables_and_one_index_are_expected(tables, tmp_path):
    with pytest.raises(ValueError, match="expected a table of times, one of scores, and one media index"):
        draw(tmp_path, COSTS, tables | {"media": []}, size=[10, 20])
