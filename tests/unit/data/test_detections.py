"""Boxes that a data set brings, joined shards, and the boxes of each second."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from retake.data import detections
from retake.data.array_index import read_failures
from retake.data.detections import Detection, by_step, index_detections, read_detections, write_detections
from retake.schema.manifest import Entry, Manifest
from tests.unit.planning.conftest import CARD

ASKED = {"dataset": "boxed", "classes": [], "keep": 0.5, "top": None}
BOX = [0.25, 0.25, 0.75, 1.0]
PLAIN = {"every_s": 1.0, "min_score": 0.0, "top": None}


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """A data set whose parser gives the rows that a test appends; (rows, what reads them)."""
    rows: list[tuple] = []
    parser = ModuleType("retake.data.datasets.boxed.parse")
    columns = ["video_id", "time_s", "box_xyxy", "score", "label"]
    parser.detections = lambda root, card: pd.DataFrame(rows, columns=columns)
    monkeypatch.setitem(sys.modules, "retake.data.datasets.boxed", ModuleType("retake.data.datasets.boxed"))
    monkeypatch.setitem(sys.modules, parser.__name__, parser)
    monkeypatch.setattr(detections, "CARDS", tmp_path / "cards")
    (tmp_path / "cards/boxed").mkdir(parents=True)
    (tmp_path / "cards/boxed/card.yaml").write_text(yaml.safe_dump(CARD))
    manifest = tmp_path / "shard000.json"
    entries = [Entry(path=f"{v}.mp4", video_id=v, size=1, sha256="0" * 64) for v in "uv"]
    Manifest(release="boxed", root=str(tmp_path), files=entries).write(manifest)

    def read(**changes):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        files = {
            "table_out": out / "t.parquet",
            "features_out": out / "f.npy",
            "failures_out": out / "failures.csv",
        }
        read_detections(detector=ASKED | changes, root=tmp_path, manifest=manifest, **files)
        assert np.load(files["features_out"]).shape == (0, 0)
        return pq.read_table(files["table_out"]).to_pylist(), read_failures(files["failures_out"])

    return rows, read, parser


def test_boxes_of_the_shards_videos_are_sorted_the_best_first(brought):
    rows, read, _ = brought
    rows += [
        ("v", 903.0, BOX, 0.6, "person"), ("v", 902.0, BOX, 0.7, "person"), ("v", 902.0, BOX, 0.9, "person"),
        ("w", 902.0, BOX, 0.9, "person"), ("u", 902.0, BOX, 0.4, "person"), ("u", 905.0, BOX, 0.5, "cup"),
    ]  # fmt: skip
    found, failures = read()
    assert [(row["video_id"], row["time_s"], row["score"]) for row in found] == [
        ("u", 905.0, 0.5), ("v", 902.0, 0.9), ("v", 902.0, 0.7), ("v", 903.0, 0.6),
    ]  # fmt: skip
    assert found[0] == {
        "video_id": "u", "time_s": 905.0, "box_xyxy": BOX, "score": 0.5, "label": "cup", "array": None, "row": None,
    }  # fmt: skip
    assert not failures
    assert [row["label"] for row in read(classes=["person"])[0]] == ["person"] * 3
    assert [row["score"] for row in read(top=1)[0]] == [0.5, 0.9, 0.6]


def test_a_box_without_area_is_listed_and_left_out(brought):
    rows, read, _ = brought
    rows += [("v", 902.0, BOX, 0.7, "person"), ("v", 903.0, [0.5, 0.1, 0.5, 0.9], 0.9, "person")]
    found, failures = read()
    assert [row["time_s"] for row in found] == [902.0]
    (failure,) = failures
    assert failure[0] == "v"
    assert failure[2] == "box [0.5, 0.1, 0.5, 0.9] at 903 s has no area"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("v", 902.0, [0.2, 0.1, 1.2, 0.9], 0.9, None), r"row 1: video 'v': box 0 is \[0.2, 0.1, 1.2, 0.9\]"),
        (("v", 902.0, [0.9, 0.1, 0.2, 0.9], 0.9, None), r"row 1: video 'v': box 0 is"),
        (("v", 902.0, [0.2, 0.1, float("nan"), 0.9], 0.9, None), r"row 1: video 'v': box 0 is"),
        (
            ("v", 902.0, BOX, 1.5, None),
            r"row 1: video 'v': time 902.0, score 1.5; expected seconds, and 0 to 1",
        ),
        (("v", -1.0, BOX, 0.5, None), r"row 1: video 'v': time -1.0, score 0.5"),
        (("v", float("nan"), BOX, 0.5, None), r"row 1: video 'v': time nan, score 0.5"),
    ],
)
def test_what_is_no_box_time_or_score_is_refused_with_its_row(brought, row, said):
    rows, read, _ = brought
    rows += [("u", 1.0, BOX, 0.9, None), row]
    with pytest.raises(ValueError, match=said):
        read()


def test_a_parser_without_boxes_is_named(brought):
    _, read, parser = brought
    del parser.detections
    with pytest.raises(
        ValueError, match=r"boxed.parse: reads no detections; expected detections\(root, card\)"
    ):
        read()


# --- joined shards -----------------------------------------------------------------------------------------


def shard(folder, *rows):
    folder.mkdir(parents=True)
    write_detections([Detection(*row) for row in rows], folder / "detections.parquet")
    (folder / "failures.csv").write_text(f"video_id,path,reason\n{folder.name},x,y\n")
    return folder / "detections.parquet"


def test_shards_are_joined_by_video_and_features_stay_where_they_lie(tmp_path):
    box = tuple(BOX)
    tables = [
        shard(tmp_path / "shard001", ("v", 2.0, box, 0.1, "cup", 1), ("v", 2.0, box, 0.8, "cup", 0)),
        shard(tmp_path / "shard000", ("w", 0.0, box, 0.5, None), ("u", 1.0, box, 0.5, "cup", 7)),
    ]
    out = {"table_out": tmp_path / "detections.parquet", "failures_out": tmp_path / "failures.csv"}
    lists = [table.with_name("failures.csv") for table in tables]
    index_detections(tables=tables, failures=lists, **out)
    found = pq.read_table(out["table_out"]).to_pylist()
    assert [(row["video_id"], row["score"], row["array"], row["row"]) for row in found] == [
        ("u", 0.5, "shard000/features.npy", 7), ("v", 0.8, "shard001/features.npy", 0),
        ("v", 0.1, "shard001/features.npy", 1), ("w", 0.5, None, None),
    ]  # fmt: skip
    assert [row[0] for row in read_failures(out["failures_out"])] == ["shard000", "shard001"]
    again = shard(tmp_path / "shard002", ("u", 1.0, box, 0.5, None))
    with pytest.raises(
        ValueError, match=r"shard002/detections.parquet: video u is in another shard, too: .*shard000"
    ):
        index_detections(tables=[*tables, again], failures=lists, **out)


# --- boxes of seconds --------------------------------------------------------------------------------------


def test_boxes_are_found_by_video_and_step(tmp_path):
    low, high = (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)
    table = shard(
        tmp_path / "s", ("v", 1.0, low, 0.6, None, 4), ("v", 1.0, high, 0.9, None, 5), ("v", 1.5, low, 0.9, None),
        ("v", 2.0, low, 0.2, None), ("w", 1.0, low, 0.9, None),
    )  # fmt: skip
    found = by_step(table, {"v": 3.0}, **PLAIN | {"min_score": 0.5})
    assert set(found) == {("v", 1)}
    assert found["v", 1].xyxy.tolist() == [list(high), list(low)]
    assert found["v", 1].rows.tolist() == [5, 4]
    halves = by_step(table, {"v": 3.0, "w": 3.0}, **PLAIN | {"every_s": 0.5, "top": 1})
    assert {place: len(one.xyxy) for place, one in halves.items()} == {
        ("v", 2): 1, ("v", 3): 1, ("v", 4): 1, ("w", 2): 1,
    }  # fmt: skip


def test_a_table_with_other_columns_is_refused(tmp_path):
    pd.DataFrame({"video_id": ["v"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"t.parquet: no column time_s; expected video_id, time_s"):
        by_step(tmp_path / "t.parquet", {}, **PLAIN)


def test_the_last_step_may_begin_where_the_video_ends(tmp_path):
    """A frame may be up at a second where a stream of the same video has just ended; a second later none is."""
    table = shard(tmp_path / "s", ("v", 3.0, tuple(BOX), 0.6, None))
    assert set(by_step(table, {"v": 2.99}, **PLAIN)) == {("v", 3)}
    with pytest.raises(ValueError, match=r"row 0: 3 s, and video 'v' ends at 2.000 s"):
        by_step(table, {"v": 2.0}, **PLAIN)
