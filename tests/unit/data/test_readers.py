"""Annotation files read strictly."""

import pytest

from retake.data.readers import fields, first_of, one_of, read_csv, read_json, read_lines, read_rows

COLUMNS = ("a", "b")


def rows(path, content: bytes, **settings):
    path.write_bytes(content)
    return list(read_csv(path, COLUMNS, **settings))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.csv"


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(path):
    assert rows(path, b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4\r\n") == [
        (2, {"a": "1", "b": "2"}),
        (4, {"a": "3", "b": "4"}),
    ]


def test_commas_quotes_newlines_and_any_letters_in_quotes_are_kept(path):
    text = 'x, "y"\r\nz ||| ü 漢'
    content = 'a,b\n1,"x, ""y""\r\nz ||| ü 漢"\n2,last\n'.encode()
    assert rows(path, content) == [(2, {"a": "1", "b": text}), (4, {"a": "2", "b": "last"})]


def test_a_row_is_named_by_the_line_it_begins_on(path):
    with pytest.raises(ValueError, match=r"table\.csv: line 4: 3 fields; expected 2"):
        rows(path, b'a,b\n1,"two\nlines"\n1,2,3\n')


@pytest.mark.parametrize("header", [b"a,c\n", b"", b"a;b\n"])
def test_a_header_without_the_columns_is_refused(path, header):
    with pytest.raises(ValueError, match=r"table\.csv: line 1: the header is .*; expected a,b"):
        rows(path, header)


def test_further_columns_are_refused_only_where_the_header_is_exact(path):
    assert rows(path, b"a,b,c\n1,2,3\n") == [(2, {"a": "1", "b": "2", "c": "3"})]
    with pytest.raises(ValueError, match="expected a,b"):
        rows(path, b"a,b,c\n1,2,3\n", exact=True)


def test_a_quote_that_never_closes_is_an_error_and_not_one_giant_row(path):
    with pytest.raises(ValueError, match="unexpected end of data"):
        rows(path, b'a,b\n1,"two\n3,4\n')


def test_bytes_that_are_not_utf8_are_an_error_that_names_the_file(path):
    with pytest.raises(ValueError, match=r"table\.csv: near line .*not UTF-8"):
        rows(path, b"a,b\n1,caf\xe9\n")
    with pytest.raises(ValueError, match=r"table\.csv: not UTF-8 at byte 9"):
        list(read_lines(path))


def test_lines_are_numbered_as_in_the_file(path):
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n  two  \n")
    assert list(read_lines(path)) == [(1, "one"), (3, "two")]


def test_what_is_no_json_is_named_with_its_line(path):
    path.write_text('{"a":\n1,}')
    with pytest.raises(ValueError, match=r"table\.csv: line 2: not JSON"):
        read_json(path)


def test_a_pointer_of_git_lfs_is_called_by_its_name(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="Git-LFS pointer"):
        read_json(path)


def test_a_missing_key_of_a_json_object_is_named(path):
    assert fields(path, "rows[0]", {"a": 1, "b": 2, "c": 3}, COLUMNS) == [1, 2]
    with pytest.raises(ValueError, match=r"rows\[1\]: b is missing; expected a, b"):
        fields(path, "rows[1]", {"a": 1}, COLUMNS)
    with pytest.raises(ValueError, match=r"rows\[2\]: is list; expected an object"):
        fields(path, "rows[2]", [], COLUMNS)


def test_files_are_looked_for_by_name_first_and_folder_second(tmp_path):
    (tmp_path / "annotation").mkdir()
    (tmp_path / "annotation" / "best.json").touch()
    (tmp_path / "good.json").touch()
    assert first_of(tmp_path, ["best.json", "good.json"]) == tmp_path / "annotation" / "best.json"
    with pytest.raises(ValueError, match=r"no list; expected one of x\.json, y\.json"):
        one_of(tmp_path, ["x.json", "y.json"], "list")


def test_a_table_without_a_header_is_read_by_the_names_given(path):
    path.write_bytes(b'\xef\xbb\xbf1,"2,5"\r\n\r\n"a\nb",\n5,6')
    found = [(1, {"a": "1", "b": "2,5"}), (3, {"a": "a\nb", "b": ""}), (5, {"a": "5", "b": "6"})]
    assert list(read_rows(path, COLUMNS)) == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,2\n1,2,3\n", "line 2: 3 fields; expected 2: a,b"),
        (b"1,2\n\n1\n", "line 3: 1 fields; expected 2: a,b"),
        (b'1,"2\n', "line 1: unexpected end of data"),
        (b"1,\xff\n", "not UTF-8"),
    ],
)
def test_a_broken_table_without_a_header_is_named_by_its_line(path, content, said):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        list(read_rows(path, COLUMNS))
