"""MSR-VTT's files in small, official and as mirrors have them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from retake.data.datasets.msrvtt.parse import parse as tables_of
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "msrvtt" / "card.yaml")
FIRST, SECOND = "train_val_videodatainfo.json", "test_videodatainfo.json"


def parse(root, card):
    return pd.concat(tables_of(root, card), ignore_index=True)


def video(number: int, split: str, start: float = 10.0, end: float = 20.5) -> dict:
    name = f"video{number}"
    return {
        "id": number,
        "video_id": name,
        "category": 9,
        "start time": start,
        "end time": end,
        "split": split,
    }


def sentence(number: int, name: str, caption: str = "a man talks") -> dict:
    return {"sen_id": number, "video_id": name, "caption": caption}


def write(root: Path, name: str, videos: list[dict], sentences: list[dict]) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps({"info": {}, "videos": videos, "sentences": sentences}))


@pytest.fixture
def root(tmp_path):
    videos = [video(6513, "validate"), video(3, "train")]
    write(
        tmp_path,
        FIRST,
        videos,
        [sentence(0, "video3"), sentence(7, "video6513"), sentence(9, "video3", "two |||\n")],
    )
    write(tmp_path, SECOND, [video(7010, "test", 0, 8)], [sentence(20, "video7010")])
    return tmp_path


def found(root: Path) -> list[tuple[str, str, str]]:
    table = parse(root, CARD)
    return list(zip(table["split"], table["item_id"], table["text_out"], strict=True))


def test_the_card_states_the_published_splits():
    assert CARD.splits == {"train": 6513, "val": 497, "test": 2990}


def test_the_official_pair_is_read_with_its_own_splits(root):
    assert found(root) == [
        ("train", "video3", "a man talks"),
        ("train", "video3", "two |||\n"),
        ("val", "video6513", "a man talks"),
        ("test", "video7010", "a man talks"),
    ]


def test_an_item_is_the_whole_clip_which_is_cut_already(root):
    table = parse(root, CARD).drop_duplicates("item_id").set_index("item_id")
    assert set(table["start_s"]) == {0.0}
    assert table["end_s"].to_dict() == {"video3": 10.5, "video6513": 10.5, "video7010": 8.0}


@pytest.mark.parametrize("folder", [".", "annotation", "MSRVTT/annotation"])
def test_the_oxford_file_has_no_splits_they_follow_from_the_numbers(tmp_path, folder):
    path = tmp_path / folder / "MSR_VTT.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["video9999", "video7010", "video7009", "video6513", "video6512", "video0"]
    path.write_text(json.dumps({"annotations": [{"image_id": name, "caption": name} for name in names]}))
    expected = dict(zip(names, ["test", "test", "val", "val", "train", "train"], strict=True))
    rows = found(tmp_path)
    assert {name: split for split, name, _ in rows} == expected
    assert [name for _, name, _ in rows] == [
        "video0",
        "video6512",
        "video6513",
        "video7009",
        "video7010",
        "video9999",
    ]


def test_official_keys_without_a_split_are_read_by_number_too(tmp_path):
    videos = [{"video_id": "video6600"}, {"video_id": "video1"}]
    write(tmp_path, "MSRVTT_data.json", videos, [sentence(0, "video1"), sentence(1, "video6600")])
    assert [row[:2] for row in found(tmp_path)] == [("train", "video1"), ("val", "video6600")]
    assert parse(tmp_path, CARD)["end_s"].isna().all()


def test_a_file_a_split_of_captions_by_sentence_is_read(tmp_path):
    (tmp_path / "val.json").write_text(json.dumps({"video6774": {"72864": "one", "72865": "two"}}))
    assert found(tmp_path) == [("val", "video6774", "one"), ("val", "video6774", "two")]


def test_a_video_without_a_caption_is_counted_and_left_out(root, caplog):
    write(root, SECOND, [video(7010, "test"), video(7011, "test")], [sentence(20, "video7010")])
    assert "video7011" not in [name for _, name, _ in found(root)]
    assert "1 videos without a caption, left out; first video7011" in caplog.text


@pytest.mark.parametrize(
    ("videos", "sentences", "said"),
    [
        ([video(7010, "test")] * 2, [], r"videos\[1\]: video 'video7010' stands twice"),
        (
            [video(7010, "holdout")],
            [],
            r"videos\[0\]: video 'video7010': split 'holdout'; expected train, validate",
        ),
        (
            [video(7010, "test", 5, 5)],
            [],
            r"videos\[0\]: video 'video7010': 5 to 5; expected seconds, end after",
        ),
        ([{"video_id": "video7010", "split": "test", "start time": 1}], [], "end time is missing"),
        ([{"split": "test"}], [], r"videos\[0\]: video_id is missing"),
        ([{"video_id": "clip1"}], [], "video 'clip1'; expected video0 to video9999"),
        ([], [sentence(1, "video7010")], r"sentences\[0\]: video 'video7010' is not among the file's videos"),
        ([video(7010, "test")], [sentence(0, "video7010")], r"sentences\[0\]: sen_id 0 stands twice"),
        ([video(7010, "test")], [sentence(5, "video7010", " ")], "caption is ' '; expected a text"),
        ([video(7010, "test")], [sentence(5, "video7010", None)], "caption is None; expected a text"),
        (
            [video(7010, "test")],
            [{"sen_id": 5, "video_id": "video7010"}],
            r"sentences\[0\]: caption is missing",
        ),
        ([video(3, "train")], [], r"videos\[0\]: video 'video3' stands twice"),
    ],
)
def test_a_broken_entry_is_named_by_its_place(root, videos, sentences, said):
    write(root, SECOND, videos, sentences)
    with pytest.raises(ValueError, match=f"{SECOND}: .*{said}"):
        parse(root, CARD)


def test_one_file_of_the_pair_is_not_enough(root):
    (root / SECOND).unlink()
    with pytest.raises(
        ValueError, match=f"no {SECOND}; expected both, or one of MSRVTT_data.json, MSR_VTT.json"
    ):
        parse(root, CARD)


def test_a_json_of_another_form_is_an_error(root):
    (root / SECOND).write_text('{"videos": 3}')
    with pytest.raises(ValueError, match=f"{SECOND}: expected videos and sentences"):
        parse(root, CARD)
