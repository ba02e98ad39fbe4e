"""A LAION subset as img2dataset writes it: which rows are read, and what is refused."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.data.datasets.laion.parse import parse as tables_of
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "laion" / "card.yaml")


def parse(root, card):
    return pd.concat(tables_of(root, card))


def row(key, caption="red cat", status="success", **more):
    return {"key": key, "caption": caption, "status": status, "url": "https://www.example.org/a.jpg"} | more


@pytest.fixture
def root(tmp_path):
    def write(**shards):
        for name, rows in shards.items():
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name.removeprefix('s')}.parquet")
        pq.write_table(pa.table({"URL": ["x"], "TEXT": ["y"]}), tmp_path / "part-00000.parquet")
        return tmp_path

    return write


def test_a_row_is_a_picture_that_was_downloaded(root, caplog):
    found = parse(
        root(
            s00001=[row("000010000", " two\n words ")],
            s00000=[
                row("000000000"),
                row("000000001", None),
                row("000000002", None, "failed_to_download"),
                row("000000003", ""),
            ],
        ),
        CARD,
    )
    assert list(zip(found["video_id"], found["item_id"], found["text_out"], strict=True)) == [
        ("000000000", "000000000", "red cat"),
        ("000010000", "000010000", "two words"),
    ]
    assert set(found["split"]) == {"train"}
    assert set(found["start_s"]) == set(found["end_s"]) == {0.0}
    assert "1 pictures that were not downloaded, left out; first 000000002" in caplog.text
    assert "2 pictures without a text, left out; first 000000001, 000000003" in caplog.text


def test_of_a_table_with_languages_the_english_rows_are_read(root, caplog):
    rows = [row("000000000", LANGUAGE="de"), row("000000001", LANGUAGE="en"), row("000000002", LANGUAGE=None)]
    assert list(parse(root(s00000=rows), CARD)["video_id"]) == ["000000001"]
    assert "2 pictures not in English, left out; first 000000000, 000000002" in caplog.text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("00001")], "row 0: key '00001'; expected nine digits that begin with 00000"),
        ([row("000010000")], "row 0: key '000010000'"),
        ([row("000000000"), row(None)], "row 1: key None"),
        ([row("000000000", status=None)], "row 0: key 000000000 has no status"),
        ([{"key": "000000000", "caption": "x"}], "no column status; expected key, caption, status"),
        ([row("000000000", status="failed")], "no picture of 1 shards was downloaded"),
        ([row("000000000"), row("000000000")], r"row 1: key 000000000 stands twice"),
    ],
)
def test_a_broken_shard_is_named_by_its_row(root, rows, said):
    with pytest.raises(ValueError, match=said):
        parse(root(s00000=rows), CARD)


def test_a_folder_without_shards_and_a_file_that_is_no_parquet_are_refused(root):
    folder = root()
    with pytest.raises(ValueError, match=r"no <shard>\.parquet, e\.g\. 00000\.parquet"):
        parse(folder, CARD)
    (folder / "00000.parquet").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"00000\.parquet: no parquet file"):
        parse(folder, CARD)


def test_a_shard_is_a_table_and_a_shard_twice_is_refused(root):
    folder = root(s00000=[row("000000000")], s00001=[row("000010000", None)], s00002=[row("000020000")])
    assert [list(table["item_id"]) for table in tables_of(folder, CARD)] == [["000000000"], ["000020000"]]
    (folder / "again").mkdir()
    pq.write_table(pa.Table.from_pylist([row("000000009")]), folder / "again" / "00000.parquet")
    with pytest.raises(ValueError, match=r"again/00000\.parquet.*00000\.parquet.*the same shard"):
        parse(folder, CARD)
