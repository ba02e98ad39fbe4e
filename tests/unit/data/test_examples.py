"""Frames for figures: the stated rule picks, arrays are the codec's own, and who does not fit is an error."""

import csv

import numpy as np
import pandas as pd
import pytest

from retake.data.coded import as_input
from retake.data.examples import EMBEDDED, SHOWN, extract_examples, in_fields
from retake.data.motion import read_coded
from retake.data.streams import Streams
from tests.unit.data import clips
from tests.unit.data.streams_of import joined, moving, release, transcode

SIGNALS = {"kind": "signals", "split": "test", "at": [1, 4], "of": 9}
EMBEDDING = {"kind": "embedding", "split": "test", "label": "slide", "frames": 9, "grid": 4}
CLASSES = {"a": "rest", "b": "slide", "c": "slide", "d": "slide", "e": "slide", "f": "rest"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """a rests, b to d slide, d twice as fast, e has three frames, f is of another split."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "release").mkdir()
    shown = {name: moving(26, seed) for seed, name in enumerate("abcdf")}
    shown["a"] = np.repeat(shown["a"][:1], 26, axis=0)
    shown["d"], shown["e"] = np.concatenate([moving(26, 7)[::2], moving(26, 8)[::2]]), moving(3, 9)
    files = {
        name: clips.write_lossless(folder / f"release/{name}.mkv", frames, rate=10)
        for name, frames in sorted(shown.items())
    }
    transcode(release(folder, files), folder / "coded")
    joined(folder / "coded", "packets.npy")
    rows = [
        {"video_id": v, "split": "train" if v == "f" else "test", "text_out": name}
        for v, name in CLASSES.items()
    ]
    pd.DataFrame(rows).to_parquet(folder / "annotations.parquet")
    return folder


@pytest.fixture
def extract(folder, tmp_path):
    def call(spec, name="out"):
        arrays, table = tmp_path / f"{name}.npz", tmp_path / f"{name}.csv"
        extract_examples(
            spec=spec, annotations=folder / "annotations.parquet", index=folder / "coded/index.parquet",
            arrays_out=arrays, table_out=table,
        )  # fmt: skip
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        with np.load(arrays) as found:
            return dict(found), rows, arrays

    return call


def frames_of(folder, video_id, signals):
    return list(read_coded(Streams(folder / "coded/index.parquet").stream(video_id).data, signals))


def test_the_video_in_which_most_moves_is_shown_as_the_codec_has_it(folder, extract):
    arrays, rows, _ = extract(SIGNALS)
    assert [(r["video_id"], r["number"], r["position"], r["time_s"]) for r in rows] == [
        ("d", "1", "1", "0.100"), ("d", "4", "4", "0.400"),
    ]  # fmt: skip
    frames = frames_of(folder, "d", SHOWN)
    for name in SHOWN:
        assert np.array_equal(arrays[name], np.stack([getattr(frames[n], name) for n in (1, 4)])), name


@pytest.mark.parametrize(("of", "shown"), [(1, "a"), (3, "b"), (4, "d")])
def test_only_the_first_so_many_by_name_are_asked(of, shown, extract):
    _, rows, _ = extract(SIGNALS | {"of": of})
    # b and c slide alike: which of the two is decided by what the codec found
    assert rows[0]["video_id"] in ({"b", "c"} if shown == "b" else {shown})


def test_a_video_without_the_frames_is_passed_over_and_none_left_is_an_error(extract):
    _, rows, _ = extract(SIGNALS | {"at": [2, 11]})
    assert rows[0]["video_id"] == "d"
    with pytest.raises(ValueError, match="split 'test': no video has frame 12 in its first group"):
        extract(SIGNALS | {"at": [1, 12]})
    with pytest.raises(ValueError, match="split 'val': no video has frame 4"):
        extract(SIGNALS | {"split": "val"})


def test_the_first_and_the_last_video_of_a_class_give_the_first_frames_that_have_every_signal(
    folder, extract
):
    # by name the last that slides is e, which is too short: named apart below
    table = pd.read_parquet(folder / "annotations.parquet")
    table[table["video_id"] != "e"].to_parquet(folder / "annotations.parquet")
    arrays, rows, _ = extract(EMBEDDING | {"frames": 13})
    table.to_parquet(folder / "annotations.parquet")
    assert [(r["video"], r["video_id"]) for r in rows] == [("0", "b")] * 13 + [("1", "d")] * 13
    assert [int(r["number"]) for r in rows[:13]] == [*range(1, 12), 13, 14]  # 0 and 12 are I-frames
    for video, video_id in enumerate("bd"):
        frames = frames_of(folder, video_id, EMBEDDED)
        for name in EMBEDDED:
            shown = as_input(name, getattr(frames[13], name))
            assert np.array_equal(arrays[f"{name}_{video}"][11], in_fields(shown, 4)), (name, video_id)


def test_classes_with_too_few_videos_or_frames_are_errors(extract):
    with pytest.raises(ValueError, match="no video of class 'slid'; did you mean 'slide'"):
        extract(EMBEDDING | {"label": "slid"})
    with pytest.raises(ValueError, match="one video of class 'rest', a; two are compared"):
        extract(EMBEDDING | {"label": "rest"})
    with pytest.raises(ValueError, match="video 'e': 2 frames have every signal"):
        extract(EMBEDDING)


def test_the_same_videos_give_the_same_bytes(extract):
    first, again = (extract(SIGNALS, name)[2] for name in ("one", "two"))
    assert first.read_bytes() == again.read_bytes()


def test_fields_are_means_by_hand():
    frame = np.arange(5 * 7 * 2, dtype=np.uint8).reshape(5, 7, 2)
    got = in_fields(frame, 2).reshape(2, 2, 2)
    for row, rows in enumerate((slice(0, 2), slice(2, 5))):
        for column, columns in enumerate((slice(0, 3), slice(3, 7))):
            expected = frame[rows, columns].reshape(-1, 2).astype(float).mean(axis=0)
            assert np.allclose(got[row, column], expected)
    with pytest.raises(ValueError, match="a frame of 5 x 7 has no 6 x 6 fields"):
        in_fields(frame, 6)


def test_a_kind_that_shows_no_frames_is_an_error(extract):
    with pytest.raises(ValueError, match="kind 'lines' shows no frames of its own"):
        extract({"kind": "lines", "split": "test"})
