"""Tables: printed rows in printed order, ours beside them, nothing compared that must not be."""

import csv
import math

import pytest

from retake.report.tables import mean_and_error, tabulate
from retake.schema.strict import SettingError
from tests.unit.report.runs import reported, run


def row(variant, **other):
    fields = {"variant": variant, "dataset": "msvd", "split": "test", "protocol": "beam5"}
    return fields | {"metrics": ["bleu4", "cider"]} | other


SPEC = {"title": "Captions", "seeds": [1, 2, 3], "rows": [row("full"), row("plain")]}


@pytest.fixture
def table(tmp_path):
    def made(files=(), spec=SPEC, scale="mini", name="table_1", text=None):
        source = reported(tmp_path) if text is None else reported(tmp_path, text)
        out_csv, out_md = tmp_path / f"{name}.csv", tmp_path / f"{name}.md"
        tabulate(
            method="demo",
            table=name,
            spec=spec,
            metrics_files=list(files),
            reported=source,
            scale=scale,
            out_csv=out_csv,
            out_md=out_md,
        )
        with out_csv.open(newline="") as file:
            cells = list(csv.DictReader(file))
        return {(cell["system"], cell["metric"]): cell for cell in cells}, cells, out_md.read_text()

    return made


def three(tmp_path, variant, values, **other):
    return [
        run(tmp_path, variant, seed, {"bleu4": value, "cider": 2 * value}, **other)
        for seed, value in enumerate(values, 1)
    ]


def test_rows_stand_in_printed_order_and_ours_beside_the_paper_s(tmp_path, table):
    files = three(tmp_path, "full", [0.40, 0.42, 0.44]) + three(tmp_path, "plain", [0.30, 0.30, 0.30])
    found, cells, _ = table(files)
    assert list(dict.fromkeys(cell["system"] for cell in cells)) == ["Older", "Mine plain", "Mine full"]
    cell = found["Mine full", "bleu4"]
    assert (cell["kind"], cell["paper"], cell["unit"], cell["seeds"]) == ("M", "50.0", "percent", "3")
    assert float(cell["ours"]) == pytest.approx(42.0)
    assert float(cell["standard_error"]) == pytest.approx(2 / math.sqrt(3))
    assert (cell["items"], cell["items_of"]) == ("89", "90")
    assert float(found["Mine full", "cider"]["ours"]) == pytest.approx(84.0)


def test_a_quoted_row_is_marked_and_never_measured(table):
    found, _, _ = table()
    cell = found["Older", "bleu4"]
    assert (cell["kind"], cell["paper"], cell["ours"], cell["verdict"]) == ("Q", "33.3", "", "quoted")
    assert (found["Older", "cider"]["paper"], found["Older", "cider"]["note"]) == ("", "blank in the paper")


def test_a_mini_number_is_not_compared_however_close(tmp_path, table):
    found, _, text = table(three(tmp_path, "full", [0.5, 0.5, 0.5]))
    assert found["Mine full", "bleu4"]["verdict"] == "mini: not compared"
    assert "not compared with the paper's" in text


def test_at_paper_scale_a_cell_gets_its_verdict(tmp_path, table):
    files = three(tmp_path, "full", [0.5, 0.503, 0.5], scale="paper")
    files += three(tmp_path, "plain", [0.3, 0.3, 0.3], scale="paper")
    found, _, text = table(files, scale="paper")
    assert found["Mine full", "bleu4"]["verdict"] == "reproduced"
    assert found["Mine plain", "bleu4"]["verdict"] == "lower"
    assert found["Mine full", "cider"]["verdict"] == "no verdict: no tolerance stated"
    assert "50.1 ± 0.1 (reproduced)" in text


def test_a_part_of_the_papers_items_gets_no_verdict(tmp_path, table):
    files = three(tmp_path, "full", [0.5, 0.5, 0.5], scale="paper", items=9, items_of=90)
    found, _, _ = table(files, scale="paper")
    assert found["Mine full", "bleu4"]["verdict"] == "no verdict: 10% of the paper's items"


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_a_row_without_metrics_is_not_run(table, scale):
    found, _, text = table(scale=scale)
    assert found["Mine full", "bleu4"]["verdict"] == "not run"
    assert found["Mine full", "bleu4"]["ours"] == ""
    assert "not run" in text


def test_missing_seeds_are_counted(tmp_path, table):
    found, _, _ = table(three(tmp_path, "full", [0.4, 0.5]))
    assert found["Mine full", "bleu4"]["note"] == "spread over three runs; 2 of 3 seeds"
    assert found["Mine full", "bleu4"]["seeds"] == "2"


def test_a_printed_row_that_the_recipe_leaves_out_is_not_run(tmp_path, table):
    found, _, _ = table(three(tmp_path, "full", [0.4, 0.4, 0.4]), SPEC | {"rows": [row("full")]})
    assert found["Mine plain", "bleu4"]["verdict"] == "not run"


def test_a_table_of_our_own_has_the_recipe_s_order_and_labels(tmp_path, table):
    spec = SPEC | {"rows": [row("full", label="Mine, seeing"), row("plain", metrics=["cider"])]}
    files = three(tmp_path, "full", [0.4, 0.4, 0.4]) + three(tmp_path, "plain", [0.1, 0.1, 0.1])
    found, cells, text = table(files, spec, name="kinds")
    assert [(c["system"], c["metric"]) for c in cells] == [
        ("Mine, seeing", "bleu4"),
        ("Mine, seeing", "cider"),
        ("plain", "cider"),
    ]
    assert found["plain", "cider"]["paper"] == ""
    assert found["plain", "cider"]["verdict"] == "mini: not compared"
    assert "| Mine, seeing | M | msvd test |  | 40.0 ± 0.0 |" in text


def test_a_row_of_ours_that_the_paper_lacks_comes_after_the_printed_ones(tmp_path, table):
    files = three(tmp_path, "blind", [0.1, 0.1, 0.1], scale="paper")
    found, cells, _ = table(files, SPEC | {"rows": [row("blind"), *SPEC["rows"]]}, scale="paper")
    assert cells[-1]["system"] == "blind"
    assert found["blind", "bleu4"]["verdict"] == "no verdict: no number in the paper"


def test_a_row_of_a_training_has_seeds_and_no_items(tmp_path, table):
    """Seeds that ended at different steps are no error: a training has no items to count."""
    place = {"split": "pre", "protocol": "training", "items": None, "items_of": None}
    files = [
        run(tmp_path, "full", seed, {"last_loss": 1.0 + seed, "loss_spikes": seed}, **place)
        for seed in (1, 2)
    ]
    asked = row("full", split="pre", protocol="training", metrics=["last_loss", "loss_spikes"], label="Mine")
    found, _, text = table(files, {"title": "How", "seeds": [1, 2], "rows": [asked]}, name="table_9")
    cell = found["Mine", "last_loss"]
    assert (float(cell["ours"]), cell["unit"], cell["seeds"], cell["items"]) == (2.5, "", "2", "")
    assert found["Mine", "loss_spikes"]["unit"] == "steps"
    assert "| loss at the end, ours |" in text
    assert "| 2.500 ± 0.500 |" in text
    assert "| 1.5 ± 0.5 | 2 |  |" in text


def test_two_printed_rows_of_one_variant_are_told_apart_by_their_label(tmp_path, table):
    lines = "where,system,kind,variant,dataset,split,metric,value,unit,said_by,tolerance,note\n"
    for number, name in enumerate(("1 clip", "10 clips"), 1):
        lines += f'"Table 3, row {number}",{name},M,full,msvd,test,bleu4,{number},percent,paper,,\n'
    files = [run(tmp_path, "full", 1, {"bleu4": 0.7}, protocol="ten")]
    rows = [row("full", protocol="ten", label="10 clips", metrics=["bleu4"])]
    found, _, _ = table(files, SPEC | {"seeds": [1], "rows": rows}, name="table_3", text=lines)
    assert float(found["10 clips", "bleu4"]["ours"]) == pytest.approx(70.0)
    assert found["1 clip", "bleu4"]["ours"] == ""
    with pytest.raises(ValueError, match="label says which"):
        table(files, SPEC | {"rows": [row("full", protocol="ten")]}, name="table_3", text=lines)


def test_the_same_inputs_give_the_same_bytes_in_any_order(tmp_path, table):
    files = three(tmp_path, "full", [0.1, 0.2, 0.4]) + three(tmp_path, "plain", [0.3, 0.31, 0.37])
    assert table(files)[1:] == table(files[::-1])[1:]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SPEC | {"color": "red"}, "tables.table_1: color: unknown key"),
        ({k: v for k, v in SPEC.items() if k != "title"}, "tables.table_1: title: missing"),
        (SPEC | {"seeds": None}, "tables.table_1: seeds"),
        (SPEC | {"rows": [row("full"), row("full", protocol="greedy")]}, "measure Table 1, row 3"),
    ],
)
def test_a_spec_that_does_not_fit_is_named(table, spec, message):
    with pytest.raises((SettingError, ValueError), match=message):
        table(spec=spec)


@pytest.mark.parametrize(
    ("variant", "other", "message"),
    [
        ("full", {"method": "other"}, "is of other at mini scale; expected demo at mini"),
        ("full", {"scale": "paper"}, "is of demo at paper scale; expected demo at mini"),
        ("full", {"protocol": "greedy"}, "no row of the table asks for it"),
        ("blind", {}, "no row of the table asks for it"),
    ],
)
def test_a_metrics_file_that_does_not_belong_here_is_named(tmp_path, table, variant, other, message):
    path = run(tmp_path, variant, 1, {"bleu4": 0.1, "cider": 0.1}, **other)
    with pytest.raises(ValueError, match=message) as error:
        table([path])
    assert str(path) in str(error.value)


def test_a_metrics_file_without_the_row_s_metric_is_named(tmp_path, table):
    path = run(tmp_path, "full", 1, {"bleu4": 0.1})
    with pytest.raises(ValueError, match=r"test\.json: no value of cider"):
        table([path])


def test_seeds_that_scored_different_items_are_an_error(tmp_path, table):
    other = run(tmp_path, "full", 2, {"bleu4": 0.1, "cider": 0.1}, items=80)
    files = [*three(tmp_path, "full", [0.4]), other]
    with pytest.raises(ValueError, match="different numbers of items"):
        table(files)


def test_the_same_run_twice_is_an_error(tmp_path, table):
    path = run(tmp_path, "full", 1, {"bleu4": 0.1, "cider": 0.1})
    with pytest.raises(ValueError, match="the same run as"):
        table([path, path])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, None)),
        ([2.0], (2.0, None)),
        ([1.0, 3.0], (2.0, 1.0)),
        ([1.0, 2.0, 3.0], (2.0, 1 / math.sqrt(3))),
    ],
)
def test_the_error_of_a_mean_needs_two_seeds(values, expected):
    assert mean_and_error(values) == pytest.approx(expected)
