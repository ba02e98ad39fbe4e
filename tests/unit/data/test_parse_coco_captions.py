"""COCO Captions: a row a caption, pictures as videos of one frame, broken files by their row."""

import json

import pandas as pd
import pytest

from retake.data.datasets.coco_captions.parse import parse as tables_of
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "coco_captions" / "card.yaml")
IMAGES = [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg"}, {"id": 30, "file_name": "x/COCO_30.jpg"}]
CAPTIONS = [
    {"image_id": 30, "id": 5, "caption": " A man\nsits. "},
    {"image_id": 9, "id": 2, "caption": "a cat"},
    {"image_id": 30, "id": 1, "caption": "a man"},
]


def parse(root, card):
    return pd.concat(tables_of(root, card), ignore_index=True)


@pytest.fixture
def root(tmp_path):
    def write(images=IMAGES, captions=CAPTIONS, **beside):
        folder = tmp_path / "annotations"
        folder.mkdir(exist_ok=True)
        train = {"images": images, "annotations": captions} | beside
        (folder / "captions_train2014.json").write_text(
            json.dumps({k: v for k, v in train.items() if v is not None})
        )
        val = {
            "images": [{"id": 9, "file_name": "COCO_val2014_9.jpg"}],
            "annotations": [{"image_id": 9, "id": 2, "caption": "x"}],
        }
        (folder / "captions_val2014.json").write_text(json.dumps(val))
        return tmp_path

    return write


def test_a_row_is_a_caption_and_a_picture_is_a_video_of_one_frame(root):
    table = parse(root(), CARD)
    assert list(zip(table["split"], table["video_id"], table["ref_id"], table["text_out"], strict=True)) == [
        ("train", "COCO_train2014_000000000009", "COCO_train2014_000000000009#0", "a cat"),
        ("train", "COCO_30", "COCO_30#0", "A man sits."),
        ("train", "COCO_30", "COCO_30#1", "a man"),
        ("val", "COCO_val2014_9", "COCO_val2014_9#0", "x"),
    ]
    assert set(table["start_s"]) == set(table["end_s"]) == {0.0}
    assert set(table["task"]) == {"caption"}


def test_pictures_that_nobody_described_are_counted(root, caplog):
    parse(root(captions=CAPTIONS[1:2]), CARD)
    assert "1 pictures of train without a caption, left out; first COCO_30" in caplog.text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"images": IMAGES * 2}, r"images\[2\]: picture 9, .* stands twice"),
        ({"images": [{"id": 1}]}, r"images\[0\]: file_name is missing; expected id, file_name"),
        ({"images": []}, "images: expected a list of objects, at least one"),
        ({"captions": None}, "the file: annotations is missing"),
        ({"captions": [CAPTIONS[0], CAPTIONS[0]]}, r"annotations\[1\]: caption 5 stands twice"),
        (
            {"captions": [{"image_id": 7, "id": 1, "caption": "x"}]},
            r"annotations\[0\]: picture 7 is not among",
        ),
        (
            {"captions": [{"image_id": 9, "id": 1, "caption": " "}]},
            r"annotations\[0\]: picture 9: caption is ' '",
        ),
        ({"captions": [{"image_id": 9, "id": 1}]}, r"annotations\[0\]: caption is missing"),
    ],
)
def test_a_broken_file_is_named_by_its_row(root, files, said):
    with pytest.raises(ValueError, match=rf"captions_train2014\.json: {said}"):
        parse(root(**files), CARD)


def test_a_picture_of_both_splits_is_an_error(root):
    images = [{"id": 9, "file_name": "COCO_val2014_9.jpg"}]
    with pytest.raises(ValueError, match=r"captions_val2014\.json: images\[0\]: picture 9, .* stands twice"):
        parse(root(images=images, captions=CAPTIONS[1:2]), CARD)


def test_results_in_place_of_annotations_are_refused(root):
    path = root() / "annotations/captions_train2014.json"
    path.write_text(json.dumps([{"image_id": 404464, "caption": "a man"}]))
    with pytest.raises(ValueError, match="the file: is list; expected an object with images, annotations"):
        parse(path.parent.parent, CARD)
