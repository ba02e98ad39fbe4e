"""From a release's files to the annotation table on disk."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from retake.data import annotations
from retake.data.annotations import (
    SCHEMA,
    LeftOut,
    build_annotations,
    caption_table,
    not_used,
    write_table,
    write_tables,
)
from retake.data.datasets.msvd import parse as msvd_parser
from retake.schema.annotations import COLUMNS, checked

CLIPS = [("train", 1), ("val", 1201), ("test", 1301)]


@pytest.fixture
def msvd(tmp_path):
    root = tmp_path / "msvd"
    root.mkdir()
    (root / "youtube_mapping.txt").write_text("".join(f"clip{n}_0_5 vid{n}\n" for _, n in CLIPS))
    rows = "".join(
        f'clip{n},0,5,English,"somebody, number {n}"\nclip{n},0,5,English,again\n' for _, n in CLIPS
    )
    (root / "MSR Video Description Corpus.csv").write_text("VideoID,Start,End,Language,Description\n" + rows)
    return root


def test_the_table_on_disk_is_what_the_files_say(msvd, tmp_path):
    build_annotations(dataset="msvd", root=msvd, out=tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table) == list(COLUMNS)
    assert list(zip(table["split"], table["item_id"], table["text_out"], strict=True)) == [
        (split, f"clip{n}_0_5", text) for split, n in CLIPS for text in (f"somebody, number {n}", "again")
    ]
    assert list(table["ref_id"][:2]) == ["clip1_0_5#0", "clip1_0_5#1"]
    assert set(table["start_s"]) == {0.0}
    assert table["end_s"].isna().all()


def test_the_same_files_give_the_same_bytes(msvd, tmp_path):
    for name in ("one", "two"):
        build_annotations(dataset="msvd", root=msvd, out=tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_columns_have_their_types_on_disk_also_when_all_null(tmp_path):
    write_table(caption_table("own", [("test", "a", None, None)]), tmp_path / "out.parquet")
    assert pq.read_schema(tmp_path / "out.parquet") == SCHEMA
    assert pq.read_schema(tmp_path / "out.parquet").metadata is None


def test_lists_come_back_as_they_were(tmp_path):
    row = {"dataset": "x", "split": "train", "item_id": "a", "ref_id": "a", "video_id": "a", "start_s": 0.0}
    lists = {"labels": [[3, 1]], "options": [["yes", "no"]], "box_xyxy": [[0.0, 0.25, 0.5, 1.0]]}
    write_table(
        checked(pd.DataFrame([row | {"origin": "release"}]).assign(**lists)), tmp_path / "out.parquet"
    )
    found = pd.read_parquet(tmp_path / "out.parquet").iloc[0]
    assert {name: [list(found[name])] for name in lists} == lists


def test_a_split_that_the_card_does_not_have_is_an_error(msvd, tmp_path, monkeypatch):
    table = caption_table("msvd", [("dev", "a", "text", None)])
    monkeypatch.setattr("retake.data.datasets.msvd.parse.parse", lambda root, card: table)
    with pytest.raises(ValueError, match="split 'dev'; its card has train, val, test"):
        build_annotations(dataset="msvd", root=msvd, out=tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_release_without_a_single_row_is_an_error(msvd, tmp_path, monkeypatch):
    monkeypatch.setattr("retake.data.datasets.msvd.parse.parse", lambda root, card: caption_table("msvd", []))
    with pytest.raises(ValueError, match="not one row"):
        build_annotations(dataset="msvd", root=msvd, out=tmp_path / "out.parquet")


def test_captions_are_numbered_within_their_video():
    table = caption_table("x", [("train", v, "text", 2.5) for v in ("a", "b", "a")])
    assert list(table["ref_id"]) == ["a#0", "b#0", "a#1"]
    assert set(table["end_s"]) == {2.5}


def test_what_is_left_out_is_counted_and_shown(caplog):
    not_used("x", "clips without a caption", (f"clip{n}" for n in range(7)))
    not_used("x", "nothing of the kind", [])
    assert caplog.messages == [
        "x: 7 clips without a caption, left out; first clip0, clip1, clip2, clip3, clip4"
    ]


@pytest.mark.parametrize(
    "dataset", ["msvd", "msrvtt", "own", "imagenet", "ucf101_1", "hmdb51_3", "charades", "ava21"]
)
def test_a_parser_that_finds_nothing_names_the_folder(dataset, tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(ValueError, match=str(tmp_path)):
        build_annotations(dataset=dataset, root=Path(tmp_path), out=tmp_path / "out.parquet")


def test_a_reading_without_a_parser_of_its_own_is_read_by_its_releases(tmp_path):
    root = tmp_path / "ucf101"
    (root / "videos").mkdir(parents=True)
    for group in (1, 2):
        (root / f"videos/v_Run_g0{group}_c01.avi").touch()
    (root / "classInd.txt").write_text("1 Run\n")
    for fold, (train, test) in {2: (1, 2), 3: (2, 1)}.items():
        (root / f"trainlist0{fold}.txt").write_text(f"Run/v_Run_g0{train}_c01.avi 1\n")
        (root / f"testlist0{fold}.txt").write_text(f"Run/v_Run_g0{test}_c01.avi\n")
    for fold in (2, 3):
        build_annotations(dataset=f"ucf101_{fold}", root=root, out=tmp_path / "out.parquet")
        table = pd.read_parquet(tmp_path / "out.parquet")
        assert set(table["dataset"]) == {f"ucf101_{fold}"}
        assert set(table["label_set"]) == {"ucf101"}
        assert list(table["item_id"]) == [
            f"v_Run_g0{group}_c01" for group in ((1, 2) if fold == 2 else (2, 1))
        ]


def test_an_item_without_a_label_has_an_empty_list_and_one_that_nobody_labelled_has_none(tmp_path):
    row = {"dataset": "x", "split": "test", "video_id": "a", "start_s": 0.0, "origin": "release"}
    rows = [row | {"item_id": n, "ref_id": n, "labels": labels} for n, labels in (("a", []), ("b", None))]
    write_table(checked(pd.DataFrame(rows)), tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet")["labels"].to_pylist() == [[], None]


def test_a_parser_that_gives_parts_makes_the_same_table(msvd, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    build_annotations(dataset="msvd", root=msvd, out=tmp_path / "whole.parquet")
    said = caplog.messages
    parse = msvd_parser.parse
    held = []

    def in_parts(root, card):
        whole = pd.concat(parse(root, card), ignore_index=True)
        for number in range(0, len(whole), 2):
            held.append(number)
            yield whole[number : number + 2]

    monkeypatch.setattr(msvd_parser, "parse", in_parts)
    build_annotations(dataset="msvd", root=msvd, out=tmp_path / "parts.parquet")
    assert held == [0, 2, 4]
    assert caplog.messages[len(said) :] == said
    assert pq.read_metadata(tmp_path / "parts.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "parts.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))


def test_tables_of_captions_end_with_a_video(monkeypatch):
    monkeypatch.setattr(annotations, "AT_ONCE", 2)
    rows = [
        ("train", name, f"{name}{n}", None)
        for name, times in (("a", 3), ("b", 1), ("c", 2), ("d", 1))
        for n in range(times)
    ]
    parts = list(annotations.caption_tables("own", iter(rows)))
    assert [list(part["video_id"]) for part in parts] == [["a"] * 3, ["b", "c", "c"], ["d"]]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), caption_table("own", rows))


def test_an_item_in_two_parts_is_an_error_and_leaves_no_table(tmp_path):
    one, other = (caption_table("own", [("test", name, "x", None)]) for name in ("a", "b"))
    write_tables([one, other], tmp_path / "good.parquet", "here")
    assert list(pd.read_parquet(tmp_path / "good.parquet")["item_id"]) == ["a", "b"]
    with pytest.raises(ValueError, match="here: item 'a' stands in two parts of the table"):
        write_tables([one, other, one], tmp_path / "bad.parquet", "here")
    assert [path.name for path in tmp_path.iterdir()] == ["good.parquet"]


def test_of_what_is_left_out_the_first_names_are_kept(caplog):
    left = LeftOut()
    for name, times in (("a", 2), ("b", 0), ("c", 9)):
        left.add(name, times)
    assert left.count == 11
    assert left.first == ["a", "a", "c", "c", "c"]
    left.tell("x", "rows")
    assert caplog.messages == ["x: 11 rows, left out; first a, a, c, c, c"]
