"""UCF101's files in small: three folds of one release, in each layout that people have."""

import pytest

from retake.data.datasets.ucf101.parse import parse
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = {fold: read_card(CARDS / f"ucf101_{fold}" / "card.yaml") for fold in (1, 2, 3)}
VIDEOS = (
    "HandstandPushups/v_HandStandPushups_g01_c01",
    "Archery/v_Archery_g01_c01",
    "Archery/v_Archery_g02_c01",
)
LISTS = {
    "classInd.txt": "1 HandstandPushups\r\n2 Archery\r\n",
    "trainlist01.txt": "Archery/v_Archery_g02_c01.avi 2\r\n",
    "testlist01.txt": "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\nArchery/v_Archery_g01_c01.avi\r\n",
    "trainlist02.txt": "HandstandPushups/v_HandStandPushups_g01_c01.avi 1\nArchery/v_Archery_g01_c01.avi 2\n",
    "testlist02.txt": "Archery/v_Archery_g02_c01.avi\n",
}


def laid(root, names=VIDEOS, folder="UCF-101", lists=LISTS, place="ucfTrainTestlist"):
    for name in names:
        path = root / folder / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / place).mkdir(exist_ok=True)
    for name, content in lists.items():
        (root / place / name).write_text(content, newline="")
    return root


def found(root, fold=1):
    table = parse(root, CARD[fold])
    return list(zip(table["split"], table["video_id"], [label for (label,) in table["labels"]], strict=True))


FIRST = [
    ("train", "v_Archery_g02_c01", 1),
    ("test", "v_HandStandPushups_g01_c01", 0),
    ("test", "v_Archery_g01_c01", 1),
]


def test_the_cards_state_the_published_splits():
    assert [CARD[fold].splits for fold in (1, 2, 3)] == [
        {"train": 9537, "test": 3783},
        {"train": 9586, "test": 3734},
        {"train": 9624, "test": 3696},
    ]
    assert all(sum(card.splits.values()) == card.counts["videos"] for card in CARD.values())


def test_a_fold_is_read_from_its_own_lists(tmp_path):
    root = laid(tmp_path)
    assert found(root) == FIRST
    assert found(root, 2) == [
        ("train", "v_HandStandPushups_g01_c01", 0),
        ("train", "v_Archery_g01_c01", 1),
        ("test", "v_Archery_g02_c01", 1),
    ]
    assert list(parse(root, CARD[1])["text_out"]) == ["Archery", "HandstandPushups", "Archery"]


def test_videos_may_lie_in_one_folder_and_be_written_with_other_capitals(tmp_path):
    flat = [name.rpartition("/")[2].replace("HandStand", "Handstand") for name in VIDEOS]
    root = laid(tmp_path, flat)
    assert found(root)[1] == ("test", "v_HandstandPushups_g01_c01", 0)
    assert len(found(root)) == 3


def test_the_lists_of_pytorch_coviar_are_read_where_the_official_are_absent(tmp_path):
    lists = {
        "ucf101_split1_train.txt": "Archery/v_Archery_g02_c01.avi Archery 1\n",
        "ucf101_split1_test.txt": "HandstandPushups/v_HandStandPushups_g01_c01.avi HandstandPushups 0\n"
        "Archery/v_Archery_g01_c01.avi Archery 1\n",
    }
    root = laid(tmp_path, lists=lists, place="datalists")
    assert found(root) == FIRST
    laid(tmp_path)
    (root / "datalists/ucf101_split1_train.txt").write_text("not read\n")
    assert found(root) == FIRST


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("classInd.txt", "1 Biking\n2 Archery\n", r"testlist01\.txt: line 1: class 'HandstandPushups' is not in classInd"),
        ("classInd.txt", "0 Archery\n", r"classInd\.txt: line 1: '0 Archery'; expected `1 <Class>`"),
        ("classInd.txt", "1 Archery\n2 Archery\n", r"classInd\.txt: line 2: '2 Archery'; expected `2 <Class>`"),
        ("trainlist01.txt", "Archery/v_Archery_g02_c01.avi\n", r"line 1: .*expected `<Class>/<video>.avi <number>`"),
        ("trainlist01.txt", "v_Archery_g02_c01.avi 2\n", "line 1: .*expected `<Class>"),
        ("trainlist01.txt", "Archery/v_Archery_g02_c01.avi 1\n", r"Archery is 1; classInd\.txt says that it is 2"),
        ("testlist01.txt", "Archery/v_Archery_g02_c01.avi 2\n", r"testlist01\.txt: line 1: .*expected `<Class>"),
        ("testlist01.txt", "Archery/v_Archery_g02_c01.avi\n", r"testlist01\.txt: line 1: .*twice, in train by .*line 1"),
        ("testlist01.txt", "Archery/v_Archery_g09_c01.avi\n", r"testlist01\.txt: line 1: no video v_Archery_g09_c01"),
    ],
)  # fmt: skip
def test_a_broken_list_is_named_by_file_and_line(tmp_path, name, content, said):
    root = laid(tmp_path)
    (root / "ucfTrainTestlist" / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD[1])


def test_a_class_that_the_lists_forgot_is_an_error(tmp_path):
    root = laid(tmp_path, [*VIDEOS, "Biking/v_Biking_g01_c01"])
    with pytest.raises(
        ValueError, match=r"names none of the videos in folder UCF-101/Biking, e\.g\. v_Biking_g01"
    ):
        parse(root, CARD[1])


def test_a_missing_list_is_named_with_what_would_do(tmp_path):
    root = laid(tmp_path)
    with pytest.raises(ValueError, match=r"no trainlist03\.txt; expected it or ucf101_split3_train\.txt in"):
        parse(root, CARD[3])
    (root / "ucfTrainTestlist/testlist01.txt").unlink()
    with pytest.raises(ValueError, match=r"no list of split test; expected one of testlist01\.txt"):
        parse(root, CARD[1])


def test_the_release_itself_is_no_data_set(tmp_path):
    card = read_card(CARDS / "ucf101" / "card.yaml")
    assert card.tasks == []
    with pytest.raises(ValueError, match="three splits; expected a card that says fold"):
        parse(laid(tmp_path), card)
