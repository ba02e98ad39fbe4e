"""What papers print, read back strictly."""

import pytest

from retake.report.reported import number, read_reported

HEAD = "where,system,kind,variant,dataset,split,metric,value,unit,said_by,tolerance,note\n"
LINE = '"Table 1, row 2",Mine,M,mine,msvd,test,bleu4,49.1,percent,paper,0.5,its reason\n'


def read(tmp_path, text):
    path = tmp_path / "reported.csv"
    path.write_text(text)
    return read_reported(path)


@pytest.mark.parametrize(
    ("where", "table"),
    [
        ("Table 1, row 2", "table_1"),
        ("Table 4.1, row 1", "table_4_1"),
        ("Table 7a, row 3", "table_7a"),
        ("kinds", "kinds"),
    ],
)
def test_a_cell_s_place_names_its_table(tmp_path, where, table):
    assert read(tmp_path, HEAD + LINE.replace("Table 1, row 2", where))[0].table == table


def test_a_blank_cell_has_no_value_and_numbers_are_read(tmp_path):
    blank = LINE.replace("bleu4,49.1", "cider,")
    first, second = read(tmp_path, HEAD + LINE + blank)
    assert (first.value, first.tolerance, second.value) == (49.1, 0.5, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + LINE.replace(",M,", ",X,"), "line 2: kind 'X'"),
        (HEAD + LINE.replace("bleu4", "blue4"), "line 2: no metric 'blue4'"),
        (HEAD + LINE.replace("49.1", "49,1"), "line 2: expected 12 cells"),
        (HEAD + LINE.replace("49.1", "nan"), "line 2: value: 'nan' is no finite number"),
        (HEAD + LINE.replace("49.1", "much"), "line 2: value: 'much' is no number"),
        (HEAD + LINE + LINE, "line 3: Table 1, row 2: Mine has bleu4 twice"),
        (HEAD + LINE.replace("its reason", ""), "line 2: a tolerance .* reason"),
        (HEAD + LINE.replace("0.5", "-1"), "line 2: a tolerance is not negative"),
        (HEAD.replace(",note", ",notes") + LINE, "no column 'note'"),
        (HEAD.replace(",note", ",note,more") + LINE, "unknown column 'more'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"reported\.csv: {message}"):
        read(tmp_path, text)


def test_an_empty_cell_is_no_number():
    assert number("", "x") is None
