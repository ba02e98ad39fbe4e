"""Banks of rows: which seconds have which rows, from clips round which frames, and what is refused."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from retake.data import coded
from retake.data.array_index import INDEX
from retake.data.detections import Detection, write_detections
from retake.data.memory import Memory
from retake.data.row_index import index_rows
from retake.training import checkpoint
from retake.training.rows import extract_rows
from tests.unit.data.streams_of import joined, release, transcode, write_clips
from tests.unit.training import seeing
from tests.unit.training.small_stage import write_annotations

MODULE = "tests.unit.training.seeing"
FPS = 4
LENGTHS = {"u": 13, "v": 22}  # frames: 3.25 s and 5.5 s
DATA = {
    "kind": "frames",
    "signal": None,
    "sample": {
        "clip": {"frames": 3, "step_s": 0.5}, "at": "any", "short_side": [8, 8], "crop": 8, "flip": True,
        "labels": "item", "boxes": {"truth": True, "detector": "persons", "min_score": 0.9, "match_iou": 0.9},
    },
}  # fmt: skip
BOX = (0.25, 0.25, 0.75, 1.0)


@pytest.fixture
def shard(tmp_path):
    """A shard of two videos of 16 x 8 frames, each of a brightness that is its number."""
    folder = tmp_path / "media/shard000"
    folder.mkdir(parents=True)
    rows, frames = [], []
    for video_id, count in LENGTHS.items():
        place = {"array": "frames.npy", "row": len(frames), "num_rows": count, "start_s": 0.0}
        rows.append({"video_id": video_id, "times_s": [n / FPS for n in range(count)], **place})
        frames += [np.full((8, 16, 3), n, np.uint8) for n in range(count)]
    np.save(folder / "frames.npy", np.stack(frames))
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), folder / "index.parquet")
    return folder / "index.parquet"


def checkpoint_of(folder, factor=1.0):
    path = folder / f"by{factor:g}.safetensors"
    model = seeing.build(factor=factor)
    checkpoint.save(path, model, sizes={"factor": factor}, prepared={}, recipe_sha256="")
    return path


def detected(folder, *rows, name="detections.parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    write_detections([Detection(*row) for row in rows], folder / name)
    return folder / name


def extract(shard, out, *, data=DATA, module=MODULE, **given):
    """Writes shard000 of a bank in `out`; returns (rows by (video, step), its index)."""
    files = {
        name: given.pop(name)
        for name in ("checkpoint", "config", "detections", "annotations")
        if name in given
    }
    folder = out / "shard000"
    extract_rows(
        recipe={"bank": {"rows": "boxes", "at_once": 3} | given, "module": module, "data": data},
        index=shard, array_out=folder / "features.npy", boxes_out=folder / "boxes.npy",
        index_out=folder / "index.parquet", **files,
    )  # fmt: skip
    array, table = np.load(folder / "features.npy"), pq.read_table(folder / "index.parquet")
    assert (table["array"].to_pylist(), table["row"].to_pylist()[:1]) == (["features.npy"] * len(table), [0])
    found = {}
    for row in table.to_pylist():
        found[row["video_id"], row["start_s"]] = array[row["row"] : row["row"] + row["num_rows"]].tolist()
    return found, folder / "index.parquet"


def brightness(count, at_s):
    """Of the middle and the first frame of a clip round a second, the nearest ones that there are."""
    middle = min(round(at_s * FPS), count - 1)
    return [middle, max(0, min(round((at_s - 0.5) * FPS), count - 1))]


def test_a_bank_of_clips_has_a_row_a_second_from_the_clip_round_it(shard, tmp_path):
    found, _ = extract(shard, tmp_path / "bank", rows="clips", checkpoint=checkpoint_of(tmp_path))
    expected = {
        (v, float(s)): [brightness(LENGTHS[v], s)]
        for v, seconds in (("u", 4), ("v", 6))
        for s in range(seconds)
    }
    assert found == {place: [pytest.approx(row) for row in rows] for place, rows in expected.items()}


def test_a_bank_of_cells_has_a_row_a_cell(shard, tmp_path):
    found, _ = extract(shard, tmp_path / "bank", rows="clips", grid=2, checkpoint=checkpoint_of(tmp_path))
    assert found["v", 2.0] == [[pytest.approx(8)]] * 4


def test_a_bank_of_steps_has_a_row_a_step(shard, tmp_path):
    found, index = extract(
        shard, tmp_path / "bank", rows="clips", grid="steps", checkpoint=checkpoint_of(tmp_path)
    )
    assert found["v", 2.0] == [[pytest.approx(frame)] for frame in (6, 8, 10)]
    assert np.load(index.parent / "boxes.npy").shape == (0, 5)


def test_seconds_may_be_closer(shard, tmp_path):
    """Charades: two a second."""
    found, _ = extract(
        shard, tmp_path / "bank", rows="clips", every_s=0.5, checkpoint=checkpoint_of(tmp_path)
    )
    assert [t for v, t in found if v == "u"] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert found["v", 1.5] == [pytest.approx(brightness(22, 1.5))]


def test_each_group_of_pictures_of_a_coded_video_is_decoded_once(tmp_path, monkeypatch):
    """Clips that overlap come back to a group; what is decoded of it for the first of them is all of it."""
    streams = transcode(release(tmp_path, write_clips(tmp_path, {"a": 30, "b": 41}, rate=10)), tmp_path / "s")
    own, decoded = coded._decoded, []
    monkeypatch.setattr(coded, "_decoded", lambda *given: decoded.append(given[3]) or own(*given))
    data = DATA | {"kind": "stream", "signal": "rgb"}
    found, _ = extract(
        joined(streams.parent, "packets.npy"),
        tmp_path / "bank",
        data=data,
        rows="clips",
        checkpoint=checkpoint_of(tmp_path),
    )
    assert len(found) == 3 + 5
    groups = [
        ("a", 0, 11),
        ("a", 12, 23),
        ("a", 24, 29),
        ("b", 0, 11),
        ("b", 12, 23),
        ("b", 24, 35),
        ("b", 36, 40),
    ]
    wanted = [f"video '{video}': frames {first} to {last}" for video, first, last in groups]
    assert [where.split(": ", 1)[1] for where in decoded] == wanted


def test_only_the_annotated_part_of_a_video_may_be_taken(shard, tmp_path):
    rows = [
        {"item_id": f"{v}{b}", "ref_id": f"{v}{b}", "video_id": v, "split": "train", "start_s": b, "end_s": e}
        for v, b, e in (("u", 1.0, 2.0), ("v", 2.0, 3.0), ("v", 1.0, 4.0))
    ]
    table = write_annotations(tmp_path / "rows.parquet", rows)
    found, _ = extract(
        shard,
        tmp_path / "bank",
        rows="clips",
        part="annotated",
        annotations=table,
        checkpoint=checkpoint_of(tmp_path),
    )
    assert sorted(found) == [("u", 1.0), ("v", 1.0), ("v", 2.0), ("v", 3.0)]
    assert found["v", 3.0] == [pytest.approx(brightness(22, 3.0))]


def test_a_bank_of_boxes_has_a_row_a_box_the_best_first_and_none_where_nobody_is(shard, tmp_path):
    table = detected(
        tmp_path / "found",
        ("v", 1.0, BOX, 0.95, "person"),
        ("v", 1.0, (0.0, 0.0, 0.5, 0.5), 0.99, "person"),
        ("v", 1.0, (0.0, 0.0, 1.0, 1.0), 0.89, "person"),
        ("v", 4.0, BOX, 0.9, "person"),
        ("v", 4.5, BOX, 1.0, "person"),
        ("v", 5.0, (0.0, 0.0, 0.2, 1.0), 0.9, "person"),
    )
    found, index = extract(
        shard, tmp_path / "bank", min_score=0.9, detections=table, checkpoint=checkpoint_of(tmp_path)
    )
    # 16 x 8 frames are cut to the square from a quarter of the width to three quarters
    assert found.pop(("v", 1.0)) == [
        pytest.approx([4, 2, 0.0, 0.0, 0.5, 0.5]), pytest.approx([4, 2, 0.0, 0.25, 1.0, 1.0]),
    ]  # fmt: skip
    assert found.pop(("v", 4.0)) == [pytest.approx([16, 14, 0.0, 0.25, 1.0, 1.0])]
    assert found == {("u", float(s)): [] for s in range(4)} | {("v", float(s)): [] for s in (0, 2, 3, 5)}
    assert np.load(index.parent / "boxes.npy").tolist() == [  # of the whole frame, with their scores, row by row
        [0.0, 0.0, 0.5, 0.5, 0.99], [*BOX, 0.95], [*BOX, 0.9],
    ]  # fmt: skip
    assert pq.read_table(index)["num_rows"].to_pylist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 0]


def test_of_a_second_the_best_boxes_may_be_taken(shard, tmp_path):
    boxes = [(n / 10, 0.0, 0.9, 1.0) for n in range(4)]
    table = detected(
        tmp_path / "found", *[("v", 1.0, box, 0.5 + n / 10, None) for n, box in enumerate(boxes)]
    )
    found, _ = extract(shard, tmp_path / "bank", top=2, detections=table, checkpoint=checkpoint_of(tmp_path))
    assert [row[2:] for row in found["v", 1.0]] == [
        pytest.approx([0.1, 0, 1, 1]),
        pytest.approx([0, 0, 1, 1]),
    ]


def test_rows_do_not_depend_on_how_many_are_made_at_once(shard, tmp_path):
    table = detected(tmp_path / "found", *[("v", float(s), BOX, 0.9, None) for s in range(6)])
    given = {"detections": table, "checkpoint": checkpoint_of(tmp_path)}
    one, many = (extract(shard, tmp_path / f"b{n}", at_once=n, **given)[0] for n in (1, 64))
    assert one == many


def test_a_checkpoint_that_is_there_fills_the_bank_of_other_videos(shard, tmp_path):
    """No input of the job: its path stands in the recipe."""
    path = checkpoint_of(tmp_path)
    asked = {"bank": {"rows": "clips"}, "module": MODULE, "data": DATA, "checkpoint": path.as_posix()}
    _, wanted = extract(shard, tmp_path / "bank", rows="clips", checkpoint=path)
    out = tmp_path / "other/shard000"
    asked["checkpoint_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    names = {"array_out": "features.npy", "boxes_out": "boxes.npy", "index_out": "index.parquet"}
    extract_rows(recipe=asked, index=shard, **{key: out / name for key, name in names.items()})
    assert (out / "index.parquet").read_bytes() == wanted.read_bytes()
    assert (out / "features.npy").read_bytes() == (wanted.parent / "features.npy").read_bytes()


def test_a_foundation_makes_rows_from_its_folder(shard, tmp_path):
    save_file({"weight": torch.full((1, 1), 2.0)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"factor": 2.0}))
    given = {"checkpoint": tmp_path / "model.safetensors", "config": tmp_path / "config.json"}
    found, _ = extract(shard, tmp_path / "bank", rows="clips", **given)
    assert found["v", 2.0] == [pytest.approx([16, 12])]


def test_objects_have_the_detectors_own_features(shard, tmp_path):
    found_at = tmp_path / "found"
    rows = [("v", 1.0, BOX, 0.3, "cup", 0), ("v", 1.0, BOX, 0.6, "cup", 1), ("u", 3.0, BOX, 0.2, "cup", 2)]
    table = detected(found_at, *rows)
    np.save(found_at / "features.npy", np.array([[1, 1], [2, 2], [3, 3]], np.float16))
    found, _ = extract(
        shard, tmp_path / "bank", rows="objects", top=10, detections=table, module=None, data=None
    )
    assert {place: rows for place, rows in found.items() if rows} == {
        ("u", 3.0): [[3, 3]],
        ("v", 1.0): [[2, 2], [1, 1]],
    }
    assert len(found) == 10
    detected(found_at, ("v", 1.0, BOX, 0.3, "cup", 3))
    with pytest.raises(
        ValueError, match=r"detections.parquet: video 'v': a box's features are not in features.npy"
    ):
        extract(shard, tmp_path / "bank", rows="objects", detections=table, module=None, data=None)


# --- the index, and the reader -----------------------------------------------------------------------------


def test_the_merged_bank_is_read_by_video_and_second_and_says_what_filled_it(shard, tmp_path):
    by, table = checkpoint_of(tmp_path), detected(tmp_path / "found", ("v", 1.0, BOX, 0.9, None))
    _, index = extract(shard, tmp_path / "bank", detections=table, checkpoint=by, dtype="float16")
    merged = tmp_path / "bank/index.parquet"
    index_rows(shards=[index], media=shard, checkpoint=by, detections=table, index_out=merged)
    memory = Memory(merged, {"checkpoint": by, "detections": table, "media": shard})
    assert memory.made_of["checkpoint"] == hashlib.sha256(by.read_bytes()).hexdigest()
    assert json.loads(pq.read_metadata(merged).metadata[b"arrays"]).keys() == {
        f"shard000/{name}.npy" for name in ("features", "boxes")
    }
    assert memory.boxes("v", 1).tolist() == [[*BOX, 0.9]]
    assert memory.boxes("v", 0).shape == (0, 5)
    (merged.parent / "shard000/boxes.npy").rename(tmp_path / "boxes.npy")
    assert memory.boxes("v", 1).tolist() == [[*BOX, 0.9]], "what lies beside an array is looked for once"
    (tmp_path / "boxes.npy").rename(merged.parent / "shard000/boxes.npy")
    rows, keep = memory.window("v", 2.0, window_s=4, per_step=1)
    assert keep.tolist() == [False, True, False, False]
    assert rows[1].tolist() == [4, 2, 0, 0.25, 1, 1]
    assert rows.dtype == np.float16
    table.write_bytes(b"others")
    with pytest.raises(ValueError, match="was filled by detections"):
        Memory(merged, {"detections": table})


def test_shards_of_another_checkpoint_width_or_step_are_not_joined(shard, tmp_path):
    one, two = checkpoint_of(tmp_path, 1.0), checkpoint_of(tmp_path, 2.0)
    _, index = extract(shard, tmp_path / "bank", rows="clips", checkpoint=one)
    with pytest.raises(
        ValueError, match=r"shard000/index.parquet: was filled by checkpoint \w{12}, expected \w{12}"
    ):
        index_rows(shards=[index], media=shard, checkpoint=two, index_out=tmp_path / "index.parquet")
    second = tmp_path / "bank/shard001"
    for given, said in (({"every_s": 0.5}, "several steps"), ({"grid": 2}, "several widths")):
        _, other = extract(shard, tmp_path / "other", rows="clips", checkpoint=one, **given)
        second.mkdir(exist_ok=True)
        for file in other.parent.iterdir():
            file.replace(second / file.name)
        with pytest.raises(ValueError, match=said):
            index_rows(
                shards=[index, second / "index.parquet"], media=shard, checkpoint=one,
                index_out=tmp_path / "bank/index.parquet",
            )  # fmt: skip


def test_a_bank_without_a_row_is_an_error(shard, tmp_path):
    by, table = checkpoint_of(tmp_path), detected(tmp_path / "found")
    _, index = extract(shard, tmp_path / "bank", detections=table, checkpoint=by)
    with pytest.raises(ValueError, match="holds not one row of features"):
        index_rows(
            shards=[index], media=shard, checkpoint=by, detections=table, index_out=tmp_path / "i.parquet"
        )


def test_the_same_inputs_give_the_same_bytes(shard, tmp_path):
    by, table = checkpoint_of(tmp_path), detected(tmp_path / "found", ("v", 1.0, BOX, 0.9, None))
    made = [extract(shard, tmp_path / f"b{n}", detections=table, checkpoint=by)[1].parent for n in (1, 2)]
    for name in ("features.npy", "index.parquet"):
        assert (made[0] / name).read_bytes() == (made[1] / name).read_bytes()


# --- refused -----------------------------------------------------------------------------------------------


def test_detections_beyond_the_end_are_refused_with_their_row(shard, tmp_path):
    table = detected(tmp_path / "found", ("u", 1.0, BOX, 0.9, None), ("v", 6.5, BOX, 0.9, None))
    with pytest.raises(ValueError, match=r"detections.parquet: row 1: 6.5 s, and video 'v' ends at 5.500 s"):
        extract(shard, tmp_path / "bank", detections=table, checkpoint=checkpoint_of(tmp_path))


def test_detections_that_miss_every_step_are_refused(shard, tmp_path):
    table = detected(tmp_path / "found", ("v", 1.5, BOX, 0.9, None))
    with pytest.raises(ValueError, match=r"detections.parquet: none of 1 boxes is at a multiple of 1 s"):
        extract(shard, tmp_path / "bank", detections=table, checkpoint=checkpoint_of(tmp_path))


def test_a_feature_that_is_no_number_is_refused_with_its_second(shard, tmp_path):
    given = {"rows": "clips", "dtype": "float16", "checkpoint": checkpoint_of(tmp_path, 1e5)}
    with pytest.raises(FloatingPointError, match=r"video 'u' at 1 s: a feature is no number in float16"):
        extract(shard, tmp_path / "bank", **given)


def test_a_network_that_fills_no_bank_is_named(shard, tmp_path, monkeypatch):
    monkeypatch.delattr(seeing.Producer, "bank_rows")
    with pytest.raises(ValueError, match="its network has no bank_rows"):
        extract(shard, tmp_path / "bank", rows="clips", checkpoint=checkpoint_of(tmp_path))


def test_rows_of_another_number_are_refused(shard, tmp_path, monkeypatch):
    monkeypatch.setattr(seeing.Producer, "bank_rows", lambda self, batch, grid: torch.zeros(1, 2))
    with pytest.raises(
        ValueError, match=r"bank_rows: expected 3 rows of global, found an array of shape \(1, 2\)"
    ):
        extract(shard, tmp_path / "bank", rows="clips", checkpoint=checkpoint_of(tmp_path))
