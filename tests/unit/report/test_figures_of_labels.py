"""Figures of labels: clips drawn by name, what was spoken in them, stills with all their sentences; the same bytes."""

import base64
import csv
import hashlib
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

from retake.report.figures import draw_figure

SVG = "{http://www.w3.org/2000/svg}"
LABELLED = {"kind": "labelled", "title": "What <is> said", "labeller": "blip", "dataset": "films", "clips": 2}
STILLS = {"kind": "stills", "title": "Stills", "labeller": "blip", "dataset": "pictures"}


def rgb(number):
    return np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def shown(path, clips):
    rows = [
        {"video_id": v, "start_s": s, "end_s": s + 8, "time_s": s + 4.0, "caption": f"label {v} & {s:g}"}
        | {"height": 6, "width": 8, "rgb": rgb(int(s) + ord(v[0])).tobytes()}
        for v, s in clips
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def drawn(tmp_path):
    def draw(spec, inputs):
        out = tmp_path / "f.svg"
        draw_figure(
            method="demo", figure="f", spec=spec, inputs=inputs, out_svg=out, out_csv=out.with_suffix(".csv")
        )
        with out.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
            return out, list(csv.DictReader(file))

    return draw


@pytest.fixture
def clips(tmp_path):
    asr = {
        "video_id": ["a", "a", "b", "c", "d"],
        "start_s": [0.0, 6.0, 0.0, 40.0, 0.0],
        "end_s": [6.0, 16.0, 8.0, 48.0, 8.0],
        "text_out": ["first", "second", "of b", "of c", "<of d>"],
    }
    pq.write_table(pa.table(asr), tmp_path / "asr.parquet")
    parts = [
        shown(tmp_path / "0.parquet", [("a", 0.0), ("a", 8.0), ("c", 0.0)]),
        shown(tmp_path / "1.parquet", [("b", 0.0), ("d", 0.0)]),
    ]
    return {"shown": parts, "asr": tmp_path / "asr.parquet"}


def test_clips_are_drawn_by_name_one_of_a_video_where_something_is_spoken(drawn, clips):
    _, rows = drawn(LABELLED | {"clips": 9}, clips)
    order = sorted(
        [("a", 0.0), ("a", 8.0), ("b", 0.0), ("d", 0.0)],  # nothing is spoken in c's
        key=lambda clip: hashlib.sha256(f"{clip[0]} {clip[1]:g}".encode()).hexdigest(),
    )
    once = list({video: (video, start) for video, start in reversed(order)}.values())
    assert [(r["video_id"], float(r["start_s"])) for r in rows] == [one for one in order if one in once]
    said = {("a", "0"): "first", ("a", "8"): "second", ("b", "0"): "of b", ("d", "0"): "<of d>"}
    assert all(r["asr"] == said[r["video_id"], r["start_s"]] for r in rows)
    assert all(r["pseudo"] == f"label {r['video_id']} & {r['start_s']}" for r in rows)
    assert len(drawn(LABELLED, clips)[1]) == 2


def test_a_clip_is_shown_by_its_own_frame_with_both_sentences(drawn, clips):
    path, rows = drawn(LABELLED | {"clips": 3}, clips)
    root = ElementTree.parse(path).getroot()
    images = root.findall(f"{SVG}image")
    assert len(images) == len(rows) == 3
    for image, row in zip(images, rows, strict=True):
        uri = image.get("href")
        pixels = imread(io.BytesIO(base64.b64decode(uri.split(",")[1])), format="png")[..., :3]
        number = int(float(row["start_s"])) + ord(row["video_id"])
        assert np.array_equal((pixels * 255).round().astype(np.uint8), rgb(number))
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert texts[0] == "What <is> said"
    for row in rows:
        assert row["asr"] in texts
        assert row["pseudo"] in texts


def test_a_release_in_which_nothing_is_spoken_is_an_error(drawn, clips):
    clips["shown"] = clips["shown"][:0]
    with pytest.raises(ValueError, match=r"demo: figures\.f: something is spoken in none of the 0 clips"):
        drawn(LABELLED, clips)


@pytest.fixture
def stills(tmp_path):
    rows = [
        {"label": label, "video_id": f"v{n}", "captions": [f"{label} said {k}" for k in range(3)]}
        | {"height": 6, "width": 8, "rgb": rgb(n).tobytes()}
        for n, label in enumerate(("moving", "standing", "standing where others move"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "stills.parquet")
    return {"pictures": tmp_path / "stills.parquet"}


def test_every_still_has_a_column_with_all_its_sentences(drawn, stills):
    path, rows = drawn(STILLS, stills)
    assert [(r["label"], r["sample"], r["caption"]) for r in rows[:2]] == [
        ("moving", "1", "moving said 0"),
        ("moving", "2", "moving said 1"),
    ]
    assert len(rows) == 9
    root = ElementTree.parse(path).getroot()
    assert [image.get("id") for image in root.findall(f"{SVG}image")] == ["still0", "still1", "still2"]
    lefts = [int(image.get("x")) for image in root.findall(f"{SVG}image")]
    assert lefts == sorted(set(lefts))
    texts = [" ".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    for row in rows:
        at = [text for text in texts if row["caption"].startswith(text)]
        assert at, row["caption"]


def test_the_same_inputs_draw_the_same_bytes(drawn, stills, clips):
    for spec, inputs in ((STILLS, stills), (LABELLED, clips)):
        path, _ = drawn(spec, inputs)
        first = path.read_bytes()
        assert drawn(spec, inputs)[0].read_bytes() == first


def test_stills_that_nobody_captioned_are_an_error(drawn, stills):
    pq.write_table(pq.read_table(stills["pictures"]).slice(0, 0), stills["pictures"])
    with pytest.raises(ValueError, match="no picture was captioned"):
        drawn(STILLS, stills)
