"""ImageNet's layout in small."""

import pytest

from retake.data.datasets.imagenet.parse import parse
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "imagenet" / "card.yaml")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "LOC_synset_mapping.txt").write_text(
        "n02 goldfish, Carassius auratus\nn01 tench, Tinca tinca\n"
    )
    for name in ("n01/n01_7.JPEG", "n02/n02_3.JPEG", "n02/n02_1.JPEG"):
        path = tmp_path / "ILSVRC/Data/CLS-LOC/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    solution = "ImageId,PredictionString\nval_2,n01 1 2 3 4 n01 5 6 7 8 \nval_1,n02 1 2 3 4\n"
    (tmp_path / "LOC_val_solution.csv").write_text(solution)
    return tmp_path


def test_a_label_is_the_place_of_the_class_in_the_list(root):
    table = parse(root, CARD)
    assert list(zip(table["split"], table["video_id"], map(list, table["labels"]), strict=True)) == [
        ("train", "n01_7", [1]),
        ("train", "n02_1", [0]),
        ("train", "n02_3", [0]),
        ("val", "val_2", [1]),
        ("val", "val_1", [0]),
    ]
    assert set(table["task"]) == {"classify"}


def test_a_picture_is_a_video_of_one_frame(root):
    table = parse(root, CARD)
    assert set(table["start_s"]) == set(table["end_s"]) == {0.0}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("LOC_synset_mapping.txt", "n01 a\nn01 b\n", "line 2: n01 stands twice"),
        ("LOC_synset_mapping.txt", "n01 a\nn02\n", "line 2: n02 is 'n02'; expected `wnid names`"),
        ("LOC_synset_mapping.txt", "n01 a\n", r"train/n02: no class of LOC_synset_mapping\.txt"),
        (
            "LOC_synset_mapping.txt",
            "n01 a\nn02 b\nn03 c\n",
            r"no folder for class n03 \(1 of 3 are missing\)",
        ),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nval_1,n09 1 2 3 4\n",
            "line 2: val_1: 'n09 1 2 3 4'",
        ),
        (
            "LOC_val_solution.csv",
            "ImageId,PredictionString\nval_1,n01 1 2 3 4 n02 1 2 3 4\n",
            "line 2: val_1",
        ),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nval_1,n01 1 2\n", "line 2: val_1"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nval_1,\n", "line 2: val_1"),
    ],
)
def test_a_broken_file_is_named_by_its_line(root, name, content, said):
    (root / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)


def test_a_class_without_pictures_is_an_error(root):
    (root / "ILSVRC/Data/CLS-LOC/train/n01/n01_7.JPEG").unlink()
    with pytest.raises(ValueError, match="n01: no picture"):
        parse(root, CARD)


def test_a_picture_that_stands_twice_is_an_error(root):
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nn01_7,n01 1 2 3 4\n")
    with pytest.raises(ValueError, match="ref_id is not unique: 1 rows, first 'n01_7'"):
        parse(root, CARD)
