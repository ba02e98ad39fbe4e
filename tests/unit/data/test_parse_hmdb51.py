"""HMDB51's files in small: three folds of one release, a list a class and fold."""

import pytest

from retake.data.datasets.hmdb51.parse import parse
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = {fold: read_card(CARDS / f"hmdb51_{fold}" / "card.yaml") for fold in (1, 2, 3)}
SMILES = ("A_[new]_#1!_smile_h_nm_np1_fr_goo_0", "b_smile_h_nm_np1_fr_goo_1", "c_smile_h_nm_np1_fr_goo_2")
KICKS = ("d_kick_f_cm_np1_fr_med_0", "e.x_kick_f_cm_np1_fr_med_1")
LISTS = {
    "kick_ball_test_split1.txt": "",
    "kick_test_split1.txt": f"{KICKS[0]}.avi 1 \n{KICKS[1]}.avi 2 \n",
    "smile_test_split1.txt": f"{SMILES[0]}.avi 1 \n{SMILES[1]}.avi 2 \n{SMILES[2]}.avi 0 \n",
    "kick_ball_test_split2.txt": "",
    "kick_test_split2.txt": f"{KICKS[0]}.avi 2 \n{KICKS[1]}.avi 1 \n",
    "smile_test_split2.txt": f"{SMILES[0]}.avi 0 \n{SMILES[1]}.avi 1 \n{SMILES[2]}.avi 2 \n",
}
OTHERS = {
    "hmdb51_split1_train.txt": f"smile/{SMILES[0]}.avi smile 0\nkick/{KICKS[0]}.avi kick 1\n",
    "hmdb51_split1_test.txt": f"smile/{SMILES[1]}.avi smile 0\nkick/{KICKS[1]}.avi kick 1\n",
}


@pytest.fixture
def root(tmp_path):
    for folder, names in (("smile", SMILES), ("kick", KICKS)):
        (tmp_path / "hmdb51_org" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "hmdb51_org" / folder / f"{name}.avi").touch()
    return tmp_path


def lists(root, given, folder="testTrainMulti_7030_splits"):
    (root / folder).mkdir(exist_ok=True)
    for name, content in given.items():
        (root / folder / name).write_text(content)
    return root


def found(root, fold=1):
    table = parse(root, CARD[fold])
    return list(zip(table["split"], table["video_id"], [label for (label,) in table["labels"]], strict=True))


def test_the_cards_state_the_published_splits():
    assert [CARD[fold].splits for fold in (1, 2, 3)] == [{"train": 3570, "test": 1530}] * 3


def test_a_use_is_train_test_or_none_and_a_label_the_place_in_the_alphabet(root):
    lists(root, LISTS)
    assert found(root) == [
        ("train", KICKS[0], 0),
        ("train", SMILES[0], 2),
        ("test", KICKS[1], 0),
        ("test", SMILES[1], 2),
    ]
    assert found(root, 2) == [
        ("train", KICKS[1], 0),
        ("train", SMILES[1], 2),
        ("test", KICKS[0], 0),
        ("test", SMILES[2], 2),
    ]
    assert list(parse(root, CARD[1])["text_out"]) == ["kick", "smile", "kick", "smile"]


def test_the_lists_of_pytorch_coviar_bring_their_own_numbers(root, caplog):
    lists(root, OTHERS, "datalists")
    assert found(root) == [
        ("train", SMILES[0], 0),
        ("train", KICKS[0], 1),
        ("test", SMILES[1], 0),
        ("test", KICKS[1], 1),
    ]
    assert f"hmdb51: 1 videos that no list names, left out; first {SMILES[2]}" in caplog.text
    lists(root, LISTS)
    assert found(root)[0] == ("train", KICKS[0], 0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kick_test_split1.txt", f"{KICKS[0]}.avi 3\n", r"kick_test_split1\.txt: line 1: .*use 0, 1 or 2"),
        ("kick_test_split1.txt", f"{KICKS[0]}.avi\n", r"kick_test_split1\.txt: line 1: .*expected"),
        ("kick_test_split1.txt", "gone.avi 1\n", r"kick_test_split1\.txt: line 1: no video gone in the"),
        ("kick_test_split1.txt", f"{SMILES[2]}.avi 1\n", r"smile_test_split1\.txt: line 3: .*in train by .*kick"),
        ("kick_test_split1.txt", f"{KICKS[0]}.avi 1\n{KICKS[0]}.avi 2\n", "line 2: .* stands twice"),
        ("kick_test_split1.txt", "", "names none of the videos in folder hmdb51_org/kick"),
    ],
)  # fmt: skip
def test_a_broken_list_is_named_by_file_and_line(root, name, content, said):
    lists(root, {**LISTS, name: content})
    with pytest.raises(ValueError, match=said):
        parse(root, CARD[1])


def test_a_class_without_a_list_of_the_fold_is_an_error(root):
    (lists(root, LISTS) / "testTrainMulti_7030_splits/smile_test_split2.txt").unlink()
    with pytest.raises(
        ValueError, match=r"smile_test_split2\.txt: no such file; expected a list of every class"
    ):
        parse(root, CARD[2])


def test_no_list_at_all_names_what_would_do(root):
    with pytest.raises(
        ValueError, match=r"no list; expected <class>_test_split3\.txt or hmdb51_split3_train"
    ):
        parse(root, CARD[3])


def test_the_release_itself_is_no_data_set(root):
    with pytest.raises(ValueError, match="three splits; expected a card that says fold"):
        parse(lists(root, LISTS), read_card(CARDS / "hmdb51" / "card.yaml"))
