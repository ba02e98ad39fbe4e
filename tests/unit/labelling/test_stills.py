"""Stills for a figure: chosen by words of their references, captioned several times, each time by other dice."""

import numpy as np
import pandas as pd
import pytest

from retake.labelling.stills import HEIGHT, caption_stills, picked
from retake.miniworld import write_jpeg
from retake.schema.figures import Group
from retake.schema.manifest import Manifest, entry_of
from tests.unit.labelling.toy import WORDS, write_toy

SPEC = {
    "weights": "toy", "chunk_s": 8.0, "size": 16, "prompt": "a picture of", "top_p": 0.9, "max_length": 9,
    "min_length": 5, "repetition_penalty": 1.1, "at_once": 4,
}  # fmt: skip
SAID = [
    ("p1", "a car moves"),
    ("p1", "a red car"),
    ("p2", "A car MOVES past"),
    ("p2", "it moves on"),
    ("p3", "a car is parked"),
    ("p4", "a parked car"),
    ("p4", "a car on a track"),
    ("p5", "parked on the track"),
]
GROUPS = [
    {"label": "moving", "words": ["moves"]},
    {"label": "standing", "words": ["parked"], "never": ["track"]},
    {"label": "standing on a track", "words": ["parked"], "also": ["track"]},
]
EVERY = {video for video, _ in SAID}


def groups(*chosen):
    return [Group(**one).model_dump() for one in chosen]


def table(rows=SAID, split="val"):
    return pd.DataFrame([(split, *row) for row in rows], columns=["split", "video_id", "text_out"])


def test_a_group_is_shown_by_the_picture_that_most_references_put_there():
    assert picked("x", table(), groups(*GROUPS), EVERY) == ["p2", "p3", "p5"]


def test_no_picture_is_shown_twice_and_none_that_is_not_there():
    assert picked("x", table(), groups(GROUPS[0], GROUPS[0]), EVERY) == ["p2", "p1"]
    assert picked("x", table(), groups(GROUPS[0]), EVERY - {"p2"}) == ["p1"]
    with pytest.raises(ValueError, match=r"x: no picture is described as 'moving' \(moves\)"):
        picked("x", table(), groups(*GROUPS[:1] * 3), EVERY)


@pytest.fixture
def captioned(tmp_path):
    def run(**changes):
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for n, video in enumerate(sorted(EVERY)):
            write_jpeg(
                np.full((2 * HEIGHT, 16, 3), (40 * n, 255 - 40 * n, 90), np.uint8), folder / f"{video}.jpg", 2
            )
        entries = [entry_of(folder, path, path.stem) for path in sorted(folder.iterdir())]
        Manifest("pictures", str(folder), entries).write(tmp_path / "shard000.json")
        table().to_parquet(tmp_path / "a.parquet")
        stills = {"split": "val", "groups": groups(*GROUPS), "samples": 3}
        recipe = {"labeller": "speaker", "spec": SPEC | changes, "stills": stills}
        given = write_toy(tmp_path / f"weights{len(list(tmp_path.iterdir()))}")
        caption_stills(
            recipe=recipe, annotations=tmp_path / "a.parquet", manifests=[tmp_path / "shard000.json"],
            out=tmp_path / "out.parquet", **given,
        )  # fmt: skip
        return pd.read_parquet(tmp_path / "out.parquet")

    return run


def test_every_group_has_its_picture_and_its_sentences(captioned):
    found = captioned()
    assert list(found["label"]) == ["moving", "standing", "standing on a track"]
    assert list(found["video_id"]) == ["p2", "p3", "p5"]
    assert [len(captions) for captions in found["captions"]] == [3, 3, 3]
    assert all(set(text.split()) <= set(WORDS) for texts in found["captions"] for text in texts)
    assert len({text for texts in found["captions"] for text in texts}) > 3
    for row, n in zip(found.itertuples(), (1, 2, 4), strict=True):
        pixels = np.frombuffer(row.rgb, np.uint8).reshape(row.height, row.width, 3).astype(int)
        assert row.height == HEIGHT
        assert np.abs(pixels - (40 * n, 255 - 40 * n, 90)).max() < 12


def test_sentences_hang_on_the_labellers_seed_alone(captioned):
    first = [list(texts) for texts in captioned()["captions"]]
    assert [list(texts) for texts in captioned()["captions"]] == first
    later = [list(texts) for texts in captioned(seed=2)["captions"]]
    assert [texts[:2] for texts in later] == [texts[1:] for texts in first]
