"""The Pile: texts in order, compressed or not; broken lines by number."""

import pyarrow as pa
import pytest

from retake.data.datasets.pile.parse import parse
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "pile" / "card.yaml")
LINE = '{"text": "a text", "meta": {}}\n'


@pytest.fixture
def root(tmp_path):
    def write(**files):
        (tmp_path / "train").mkdir()
        for name, content in {"train/00": LINE, "val": LINE, **files}.items():
            with pa.CompressedOutputStream(str(tmp_path / f"{name}.jsonl.zst"), "zstd") as file:
                file.write(content.encode())
        return tmp_path

    return write


def test_texts_are_numbered_over_all_files(root, caplog):
    second = '{"text": " ünd \\n zwei ", "meta": 1}\n\n{"text": " "}\n{"text": "drei"}\n'
    table = parse(root(**{"train/01": second}), CARD)
    assert list(zip(table["split"], table["item_id"], table["video_id"], table["text_out"], strict=True)) == [
        ("train", "text0", "text0", "a text"),
        ("train", "text1", "text1", "ünd \n zwei"),
        ("train", "text2", "text2", "drei"),
        ("val", "text3", "text3", "a text"),
    ]
    assert table["end_s"].isna().all()
    assert "1 texts of 01.jsonl.zst that are empty, left out; first line 3" in caplog.text


def test_texts_that_are_not_compressed_are_read_too(root):
    folder = root()
    (folder / "val.jsonl.zst").unlink()
    (folder / "val.jsonl").write_text('{"text": "plain"}\n')
    assert list(parse(folder, CARD)["text_out"]) == ["a text", "plain"]
    (folder / "train/00.jsonl").write_text(LINE)
    with pytest.raises(ValueError, match=r"00\.jsonl: is there with and without \.zst"):
        parse(folder, CARD)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LINE + "{\n", "line 2: not JSON"),
        (LINE + "[]\n", r"line 2: '\[\]'; expected an object with a text"),
        ('{"text": 3}\n', "line 1: .* expected an object with a text"),
    ],
)
def test_a_broken_line_is_named_by_its_number(root, content, said):
    with pytest.raises(ValueError, match=rf"val\.jsonl\.zst: {said}"):
        parse(root(val=content), CARD)


def test_a_file_that_is_not_there_or_ends_early_is_named(root):
    folder = root()
    (folder / "val.jsonl.zst").write_bytes(b"no zstd at all")
    with pytest.raises(ValueError, match=r"val\.jsonl\.zst: after line 0: cannot be read"):
        parse(folder, CARD)
    (folder / "val.jsonl.zst").unlink()
    with pytest.raises(ValueError, match=r"no val\.jsonl\.zst and no val\.jsonl"):
        parse(folder, CARD)
