"""Lists of classified videos against the videos that are there."""

import pytest

from retake.data.class_lists import Listed, Videos, class_table, read_triples, stem
from retake.schema.card import Media

MEDIA = Media(glob="**/*.avi")
ROWS = [
    Listed("list: line 1", "test", "a", 1, "Run"),
    Listed("list: line 2", "train", "b", 0, "Hop"),
    Listed("list: line 3", "", "c", 0, "Hop"),
]


@pytest.fixture
def videos(tmp_path):
    for name in ("Run/a", "Hop/b", "Hop/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.avi").touch()
    return Videos(tmp_path, MEDIA)


def table(rows, videos):
    return class_table("games", rows, videos, "lists")


def test_a_row_is_a_whole_video_with_its_class_and_training_comes_first(videos):
    found = table(ROWS, videos)
    columns = ["split", "video_id", "item_id", "text_out", "label_set", "task", "start_s"]
    assert found[columns].to_numpy().tolist() == [
        ["train", "b", "b", "Hop", "games", "classify", 0.0],
        ["test", "a", "a", "Run", "games", "classify", 0.0],
    ]
    assert [list(labels) for labels in found["labels"]] == [[0], [1]]
    assert found["end_s"].isna().all()


def test_a_name_in_other_letters_is_found_unless_two_are_meant(tmp_path):
    for folder, name in (("x", "HandStand"), ("x", "two"), ("y", "Two")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.avi").touch()
    videos = Videos(tmp_path, MEDIA)
    assert videos.find("Handstand") == "HandStand"
    assert videos.find("two") == "two"
    assert videos.find("TWO") is None
    assert videos.find("three") is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            Listed("list: line 4", "train", "a", 1, "Run"),
            r"list: line 4: video a stands twice, in test by list",
        ),
        (Listed("list: line 4", "test", "a", 1, "Run"), "list: line 4: video a stands twice"),
        (Listed("list: line 4", "train", "c", 0, "Hop"), "stands twice, in use nowhere by list: line 3"),
        (Listed("list: line 4", "train", "A", 1, "Run"), "line 4: video A stands twice"),
        (Listed("list: line 4", "train", "d", 1, "Run"), r"line 4: no video d in the release \(1 that"),
        (Listed("list: line 4", "train", "d", 0, "Run"), "line 4: class Run is 0, before it was 1"),
        (Listed("list: line 4", "train", "d", 1, "Walk"), "line 4: label 1 is Walk, before it was Run"),
    ],
)
def test_what_the_lists_get_wrong_is_named_by_file_and_line(videos, row, said):
    with pytest.raises(ValueError, match=said):
        table([*ROWS, row], videos)


def test_a_video_that_no_list_names_is_counted_and_a_folder_of_such_is_an_error(videos, tmp_path, caplog):
    (tmp_path / "Run/strange.avi").touch()
    table(ROWS, Videos(tmp_path, MEDIA))
    assert "games: 1 videos that no list names, left out; first strange" in caplog.text
    (tmp_path / "Skip").mkdir()
    (tmp_path / "Skip/x.avi").touch()
    with pytest.raises(ValueError, match=r"lists: names none of the videos in folder Skip, e\.g\. x"):
        table(ROWS, Videos(tmp_path, MEDIA))


def test_a_release_without_videos_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}: no video"):
        Videos(tmp_path, MEDIA)


def test_triples_are_read_from_the_right(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("Hop/a name.avi Hop 0\r\nRun/b.c.avi Run 12\n")
    assert [tuple(row)[1:] for row in read_triples({"train": path})] == [
        ("train", "a name", 0, "Hop"),
        ("train", "b.c", 12, "Run"),
    ]


@pytest.mark.parametrize("line", ["Hop/a.avi Hop", "Hop/a.avi Hop one", "Hop/a.avi Hop -1", "Hop/a.avi"])
def test_a_line_that_is_no_triple_is_named(tmp_path, line):
    path = tmp_path / "train.txt"
    path.write_text(f"Hop/b.avi Hop 0\n{line}\n")
    with pytest.raises(ValueError, match=r"train\.txt: line 2: .*expected `folder/video.avi class label`"):
        list(read_triples({"train": path}))


def test_the_name_of_a_file_is_what_stands_between_folders_and_ending():
    assert [stem(path) for path in ("a/b.c.avi", "b.avi", r"a\b.avi", "[1] x!.avi")] == [
        "b.c",
        "b",
        "b",
        "[1] x!",
    ]
