"""Examples of windows: the stated rule picks, answers are matched by overlap, pictures are the keyframes' own."""

import csv
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from retake.data import examples_by_window
from retake.data.array_index import index_arrays, table_of
from retake.data.examples import extract_examples
from retake.data.examples_by_window import nearest
from tests.unit.data import clips
from tests.unit.data.streams_of import joined, moving, release, transcode

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
HALF_LEFT = [0.0, 0.0, 0.25, 1.0]  # meets LEFT by half exactly
LESS = [0.0, 0.0, 0.24, 1.0]
POINTS = [{"variant": f"w{w}", "window_s": float(w), "protocol": None} for w in (4, 6, 8)]
SPEC = {
    "kind": "examples_by_window", "split": "val", "count": 2, "points": POINTS, "view_kind": "frames", "seed": 1,
    "protocol": "centre", "dataset": "films", "view": "keyframes",
}  # fmt: skip
# item, box, labels; every video has one keyframe at 2 s, but a has another at 1 s
LABELLED = [
    ("a,1", "a", 1.0, LEFT, [0]),
    ("a,2", "a", 2.0, RIGHT, [1]),
    ("b,2", "b", 2.0, LEFT, [0, 1]),
    ("c,2", "c", 2.0, RIGHT, [1]),
    ("d,2", "d", 2.0, None, []),
]
# item, box -> probability of classes 0 and 1 for each window
ANSWERS = [
    ("a,1", LEFT, [(0.1, 0.0), (0.2, 0.0), (0.8, 0.0)]),  # class 0 gains 0.7
    ("a,2", RIGHT, [(0.0, 0.1), (0.0, 0.9), (0.0, 0.7)]),  # class 1 gains 0.6, of the same video
    ("b,2", LEFT, [(0.5, 0.1), (0.5, 0.2), (0.4, 0.5)]),  # class 0 loses, class 1 gains 0.4
    ("b,2", RIGHT, [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]),  # no labelled box
    ("c,2", RIGHT, [(0.0, 0.6), (0.0, 0.5), (0.0, 0.9)]),  # class 1 gains 0.3
    ("d,2", LEFT, [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]),
]


class Kit:
    """The files of a small split, and the job on them."""

    def __init__(self, folder):
        self.folder, self.labelled, self.answers, self.spec = (
            folder,
            list(LABELLED),
            list(ANSWERS),
            dict(SPEC),
        )
        self.names = {0: "listen", 1: "talk"}
        self.index = folder / "index.parquet"

    def frames(self):
        """Videos a to d of frames at 0, 1, 2 s, each of one colour: ten times the video's place and the second."""
        shard = self.folder / "shard0"
        shard.mkdir()
        array = np.stack([np.full((4, 6, 3), 10 * v + t, np.uint8) for v in range(4) for t in range(3)])
        np.save(shard / "frames.npy", array)
        rows = [
            {"video_id": v, "array": "frames.npy", "row": 3 * n, "num_rows": 3, "times_s": [0.0, 1.0, 2.0]}
            for n, v in enumerate("abcd")
        ]
        pq.write_table(table_of(rows), shard / "index.parquet")
        index_arrays(shards=[shard / "index.parquet"], index_out=self.index)

    def extract(self):
        rows = [
            {
                "split": "val", "item_id": item, "ref_id": f"{item},0", "video_id": video, "start_s": start,
                "box_xyxy": box, "labels": labels,
                "text_out": "; ".join(self.names[n] for n in labels) if self.names and labels else None,
            }
            for item, video, start, box, labels in self.labelled
        ]  # fmt: skip
        pd.DataFrame(rows).to_parquet(self.folder / "annotations.parquet")
        paths = []
        for number in range(len(self.spec["points"])):
            said = [
                {"item_id": i, "box_xyxy": b, "scores": list(p[number])}
                for i, b, p in self.answers
                if p[number]
            ]
            paths.append(self.folder / f"w{number}.parquet")
            pd.DataFrame(said).to_parquet(paths[-1])
        arrays, table = self.folder / "out.npz", self.folder / "out.csv"
        extract_examples(
            spec=self.spec, annotations=self.folder / "annotations.parquet", index=self.index, arrays_out=arrays,
            table_out=table, predictions=paths,
        )  # fmt: skip
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
        with np.load(arrays) as found:
            return dict(found), rows


@pytest.fixture
def kit(tmp_path):
    kit = Kit(tmp_path)
    kit.frames()
    return kit


def shown(rows):
    return [(r["item_id"], r["class"], r["window_s"], float(r["probability"])) for r in rows]


def test_the_largest_gains_are_shown_and_no_video_twice(kit):
    arrays, rows = kit.extract()
    assert shown(rows) == [
        *(("a,1", "listen", w, p) for w, p in (("4.0", 0.1), ("6.0", 0.2), ("8.0", 0.8))),
        *(("b,2", "talk", w, p) for w, p in (("4.0", 0.1), ("6.0", 0.2), ("8.0", 0.5))),
    ]
    assert [r["example"] for r in rows] == ["0"] * 3 + ["1"] * 3
    assert [[float(rows[n][k]) for k in ("left", "top", "right", "bottom")] for n in (0, 3)] == [LEFT, LEFT]
    assert {r["variant"] for r in rows} == {"w4", "w6", "w8"}
    assert (arrays["picture_0"] == 1).all()  # video a at 1 s
    assert (arrays["picture_1"] == 12).all()  # video b at 2 s
    assert (rows[0]["time_s"], rows[3]["time_s"]) == ("1.000", "2.000")


def test_more_are_shown_as_far_as_there_are_videos(kit):
    kit.spec["count"] = 9
    _, rows = kit.extract()
    assert [r["item_id"] for r in rows[::3]] == ["a,1", "b,2", "c,2"]  # d has no labelled box


def test_a_tie_goes_to_the_first_by_item_then_class(kit):
    kit.answers = [(item, box, [(0.0, 0.0), (0.0, 0.0), (0.5, 0.5)]) for item, box, _ in ANSWERS]
    _, rows = kit.extract()
    assert [(r["item_id"], r["class"]) for r in rows[::3]] == [("a,1", "listen"), ("b,2", "listen")]


def test_an_answer_is_the_one_that_overlaps_most_and_by_half(kit):
    curve = [(0.0, 0.0), (0.0, 0.0), (0.9, 0.9)]
    kit.answers = [("b,2", LESS, curve), ("c,2", RIGHT, ANSWERS[4][2]), ("a,1", HALF_LEFT, ANSWERS[0][2])]
    kit.spec["count"] = 9
    _, rows = kit.extract()
    assert [r["item_id"] for r in rows[::3]] == ["a,1", "c,2"]  # b's is met by less than half
    kit.answers += [("b,2", LEFT, ANSWERS[2][2]), ("b,2", [0.0, 0.0, 0.6, 1.0], curve)]
    _, rows = kit.extract()
    assert shown(rows)[3:6] == [("b,2", "talk", w, p) for w, p in (("4.0", 0.1), ("6.0", 0.2), ("8.0", 0.5))]


def test_a_box_that_one_window_does_not_answer_is_not_shown(kit):
    kit.answers[0] = ("a,1", LEFT, [(0.1, 0.0), None, (0.8, 0.0)])
    _, rows = kit.extract()
    assert [r["item_id"] for r in rows[::3]] == ["a,2", "b,2"]


def test_classes_without_a_name_are_called_their_number(kit):
    kit.names = None
    _, rows = kit.extract()
    assert [r["class"] for r in rows[::3]] == ["0", "1"]


def test_a_video_that_the_view_lacks_is_not_shown(kit):
    kit.labelled.append(("e,2", "e", 2.0, LEFT, [0]))
    kit.answers.append(("e,2", LEFT, [(0.0, 0.0), (0.0, 0.0), (1.0, 1.0)]))
    _, rows = kit.extract()
    assert [r["item_id"] for r in rows[::3]] == ["a,1", "b,2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda k: k.answers.__setitem__(slice(None), ANSWERS[5:]), "none of 4 labelled boxes in videos of"),
        (lambda k: k.spec.update(split="test"), "split 'test': none of 0 labelled boxes"),
        (
            lambda k: k.labelled.__setitem__(2, ("b,2", "b", 2.0, LEFT, [0, 2])),
            "b,2,0: label 2; there are scores of 2",
        ),
        (
            lambda k: k.answers.__setitem__(0, ("a,1", [0.1, 0.2], ANSWERS[0][2])),
            "item 'a,1': expected 4 numbers, not 2",
        ),
        (
            lambda k: k.answers.__setitem__(1, ("a,2", RIGHT, [(0.1,), (0.1,), (0.1,)])),
            "w0.parquet: item 'a,2': expected 2 numbers, not 1",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(kit, change, said):
    change(kit)
    kit.names = None
    with pytest.raises(ValueError, match=re.escape(said)):
        kit.extract()


def test_a_table_for_each_window_is_needed(kit, tmp_path):
    with pytest.raises(ValueError, match="3 windows are shown, and predictions are of 0"):
        examples_by_window.gaining(SPEC, tmp_path / "none", kit.index, [])


def test_of_two_frames_as_near_the_earlier_is_shown():
    assert [nearest(np.array([0.0, 1.0, 2.0]), t) for t in (0.5, 1.4, 1.6, 9.0, -3.0)] == [0, 1, 2, 2, 0]


def test_coded_videos_are_decoded_at_the_keyframe(tmp_path):
    """The picture is a P-frame's: the ninth of ten a second, as a decoder of its own gives it."""
    (tmp_path / "release").mkdir()
    frames = moving(26, 3)
    files = {"a": clips.write_lossless(tmp_path / "release/a.mkv", frames, rate=10)}
    transcode(release(tmp_path, files), tmp_path / "coded")
    joined(tmp_path / "coded", "packets.npy")
    kit = Kit(tmp_path)
    kit.index, kit.spec = tmp_path / "coded/index.parquet", SPEC | {"view_kind": "stream"}
    kit.labelled = [("a,0", "a", 0.9, LEFT, [0])]
    kit.answers = [("a,0", LEFT, ANSWERS[0][2])]
    arrays, rows = kit.extract()
    assert rows[0]["time_s"] == "0.900"
    far = [np.abs(arrays["picture_0"].astype(int) - np.asarray(f, int)).mean() for f in frames]
    assert int(np.argmin(far)) == 9
    assert arrays["picture_0"].shape == frames[9].shape
