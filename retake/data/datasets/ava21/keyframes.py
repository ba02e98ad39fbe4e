"""AVA's keyframes: an item each, and of it a row for each box, from the rows of the tables."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from retake.data.annotations import not_used
from retake.data.class_lists import Videos
from retake.data.datasets.ava21 import lists


def labelled(
    split: str,
    boxes: Iterator[lists.Box],
    label_of: dict[int, int],
    seconds: Collection[int],
    excluded: set[tuple[str, int]],
) -> list[tuple]:
    """One row a box, and one a keyframe without any, by video and second; boxes of one in the table's order."""
    at: dict[tuple[str, int], dict[tuple, set[int]]] = defaultdict(dict)
    videos, twice, outside, unseen, rows = set(), [], [], [], []
    for box in boxes:
        where = f"{box.video},{box.second:04d} class {box.number}"
        videos.add(box.video)
        if (box.video, box.second) in excluded:
            unseen.append(where)
            continue
        done = at[box.video, box.second].setdefault((box.person, box.xyxy), set())
        if box.number in done:
            twice.append(where)
        if box.number not in label_of:
            outside.append(where)
        done.add(box.number)
    not_used("ava21", f"{split} rows that stand twice", twice)
    not_used("ava21", f"{split} rows of classes that are not evaluated", outside)
    not_used("ava21", f"{split} rows of excluded seconds", unseen)
    for video in sorted(videos):
        for second in (s for s in seconds if (video, s) not in excluded):
            item, place = f"{video},{second:04d}", (video, float(second))
            for n, ((person, xyxy), done) in enumerate(at.get((video, second), {}).items()):
                labels = sorted(label_of[number] for number in done if number in label_of)
                rows.append((split, item, f"{item},{n}", *place, labels, list(xyxy), person))
            if (video, second) not in at:
                rows.append((split, item, f"{item},0", *place, [], None, None))
    return rows


def unlabelled(
    listed: Iterable[tuple[str, str]],
    videos: Videos,
    seconds: Collection[int],
    excluded: set[tuple[str, int]],
    split_of: dict[str, str],
) -> list[tuple]:
    """One row a keyframe of the test's videos that are there, by video and second, without box or labels.

    listed  (where, video) of its list. Raises ValueError on a video of another split, or one that stands twice.
    """
    rows, gone = [], []
    for where, video in sorted(listed, key=lambda one: one[1]):
        if (split := split_of.get(video)) is not None:
            raise ValueError(f"{where}: video {video} is in split {split}, too")
        split_of[video] = "test"
        if video not in videos.folder_of:
            gone.append(video)
            continue
        for second in (s for s in seconds if (video, s) not in excluded):
            item = f"{video},{second:04d}"
            rows.append(("test", item, f"{item},0", video, float(second), None, None, None))
    not_used("ava21", "test videos that are not there", gone)
    return rows
