"""A folder of one's own videos, with and without a table."""

from pathlib import Path

import pytest

from retake.data.datasets.own.parse import parse
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "own" / "card.yaml")


@pytest.fixture
def root(tmp_path):
    for name in (
        "a.mp4",
        "day one/b.MOV",
        "day one/c.mp4",
        "day two/c.mp4",
        "é.webm",
        "notes.txt",
        "video.avi.srt",
    ):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def table(root: Path, text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (root / "captions.csv").write_bytes(content)


def found(root: Path) -> list[tuple]:
    rows = parse(root, CARD)
    return list(zip(rows["split"], rows["video_id"], rows["text_out"], strict=True))


def test_without_a_table_every_video_is_test_and_has_no_caption(root):
    names = ["a.mp4", "day one/b.MOV", "day one/c.mp4", "day two/c.mp4", "é.webm"]
    assert [(split, name) for split, name, _ in found(root)] == [("test", name) for name in names]
    assert parse(root, CARD)["text_out"].isna().all()


def test_videos_may_be_called_without_ending_or_folder(root):
    table(
        root,
        "video,split,caption\na,train,x\na.mp4,train,y\nb,val,z\nday one/c,test,u\nday two\\c.mp4,test,v\n",
    )
    assert found(root) == [
        ("train", "a.mp4", "x"),
        ("train", "a.mp4", "y"),
        ("val", "day one/b.MOV", "z"),
        ("test", "day one/c.mp4", "u"),
        ("test", "day two/c.mp4", "v"),
    ]


def test_captions_keep_commas_quotes_newlines_and_bars(root):
    text = 'one, "two"\r\nthree ||| ü 漢'
    table(
        root, b"\xef\xbb\xbf" + 'video,split,caption\r\na,train,"one, ""two""\r\nthree ||| ü 漢"\r\n'.encode()
    )
    assert found(root) == [("train", "a.mp4", text)]


def test_a_letter_written_in_two_parts_is_the_same_letter(root):
    (root / "videos" / "o\u0301.mp4").write_bytes(b"")
    table(root, "video,split,caption\ne\u0301,test,x\n\u00f3,test,y\n")
    assert [video for _, video, _ in found(root)] == ["\u00e9.webm", "o\u0301.mp4"]


def test_an_exact_name_wins_over_a_shortened_one(root):
    (root / "videos" / "c.mp4").write_bytes(b"")
    table(root, "video,split,caption\nc.mp4,test,x\n")
    assert found(root) == [("test", "c.mp4", "x")]


def test_videos_that_the_table_leaves_out_are_counted(root, caplog):
    table(root, "video,split,caption\na,train,x\n")
    assert len(found(root)) == 1
    assert "4 videos that the table does not name, left out; first day one/b.MOV" in caplog.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("video,caption,split\na,x,train\n", "line 1: the header is"),
        ("video,split\na,train\n", "line 1: the header is 'video,split'; expected video,split,caption"),
        ("video,split,caption,note\na,train,x,y\n", "line 1: the header is"),
        ("Video,Split,Caption\na,train,x\n", "line 1: the header is"),
        ('video,split,caption\na,train,"x\ny"\nz,train,x\n', "line 4: video 'z' is not in the folder"),
        ("video,split,caption\nc,train,x\n", "line 2: video 'c' may be day one/c.mp4 or day two/c.mp4"),
        ("video,split,caption\na,validation,x\n", "line 2: split 'validation'; expected train, val or test"),
        ("video,split,caption\na,Train,x\n", "line 2: split 'Train'"),
        ("video,split,caption\na,train, \n", "line 2: video 'a.mp4' has an empty caption"),
        ("video,split,caption\na,train,x\na,val,y\n", "line 3: video 'a.mp4' is val, line 2 says train"),
        ("video,split,caption\na,train\n", "line 2: 2 fields; expected 3"),
        ("video,split,caption\n", "no rows under the header"),
        ("video,split,caption\nnotes,train,x\n", "line 2: video 'notes' is not in the folder"),
    ],
)
def test_a_broken_table_is_named_by_its_line(root, content, said):
    table(root, content)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)


def test_a_folder_without_videos_says_which_endings_count(tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(ValueError, match=r"videos: no video; expected files ending in \.avi, .*\.mp4"):
        parse(tmp_path, CARD)


def labels(root: Path, text: str) -> None:
    (root / "labels.csv").write_text(text, encoding="utf-8")


def test_classes_are_numbered_in_the_order_of_their_names(root):
    labels(root, "video,split,label\na,test,run\nb,train,wave\nday one/c,train, run \nday two/c,val,jump\n")
    rows = parse(root, CARD)
    assert [(r.split, r.video_id, list(r.labels), r.text_out) for r in rows.itertuples()] == [
        ("train", "day one/b.MOV", [2], "wave"),
        ("train", "day one/c.mp4", [1], "run"),
        ("val", "day two/c.mp4", [0], "jump"),
        ("test", "a.mp4", [1], "run"),
    ]
    assert set(rows["task"]) == {"classify"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "video,split,label\na,train,run\na,train,run\n",
            "line 3: video 'a.mp4' has a label already, in line 2",
        ),
        ("video,split,label\na,train,\n", "line 2: video 'a.mp4' has an empty label"),
        ("video,split,label\nz,train,run\n", "line 2: video 'z' is not in the folder"),
        ("video,split,caption\na,train,run\n", "video,split,label"),
    ],
)
def test_a_wrong_row_of_labels_is_named(root, text, said):
    labels(root, text)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)
