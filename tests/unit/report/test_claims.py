"""Claims judged: what holds, what is contradicted, what nobody can tell, what was not run."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from retake.report.bootstrap import Interval
from retake.report.claims import MINI, collect_claims, judge, judge_claims, read_claims
from retake.report.reported import read_reported
from tests.unit.report.runs import reported, run

HEAD = "id,where,statement,metric,a,b,dataset,split,protocol,direction,size,unit\n"
CLAIM = "c1,Table 1,full is above plain,cider,full,plain,msvd,test,beam5,higher,3.1,percent\n"
ITEMS = [f"v{i:02d}" for i in range(40)]


@pytest.fixture
def judged(tmp_path):
    def made(files, lines=CLAIM, scale="mini", name="claims.csv"):
        claims, out = tmp_path / "asked.csv", tmp_path / name
        claims.write_text(HEAD + lines)
        rows = judge_claims(
            method="demo",
            claims=claims,
            metrics_files=list(files),
            reported=reported(tmp_path),
            scale=scale,
            out=out,
        )
        with out.open(newline="") as file:
            assert len(list(csv.DictReader(file))) == len(rows)
        return rows[0] if len(rows) == 1 else rows

    return made


def cider_runs(folder, variant, shift, *, seeds=(1, 2, 3), items=ITEMS, **other):
    """Items differ in difficulty, seeds in luck; `shift` is what the variant adds to each item."""
    files = []
    for seed in seeds:
        easy = np.random.default_rng(0).random(len(items))
        luck = np.random.default_rng([seed, len(variant)]).normal(0, 0.02, len(items))
        values = easy + shift + luck
        table = {"item_id": items, "cider": values}
        files.append(run(folder, variant, seed, {"cider": float(values.mean())}, table, **other))
    return files


@pytest.mark.parametrize(
    ("shift", "direction", "size", "verdict"),
    [
        (0.1, "higher", "3.1", "holds"),
        (0.1, "lower", "-3.1", "contradicted"),
        (-0.1, "higher", "3.1", "contradicted"),
        (-0.1, "lower", "", "holds"),
        (0.0, "higher", "", "undecided"),
    ],
)
def test_a_claim_is_judged_by_the_side_of_zero_that_its_interval_is_on(
    tmp_path, judged, shift, direction, size, verdict
):
    files = cider_runs(tmp_path, "full", shift) + cider_runs(tmp_path, "plain", 0.0)
    found = judged(files, CLAIM.replace("higher,3.1", f"{direction},{size}"))
    assert found.verdict == verdict
    assert found.difference == pytest.approx(100 * shift, abs=1.5)
    assert found.low < found.difference < found.high
    assert (found.seeds, found.items) == (3, 40)


def test_a_verdict_at_mini_scale_says_what_it_speaks_of(tmp_path, judged):
    files = cider_runs(tmp_path, "full", 0.1) + cider_runs(tmp_path, "plain", 0.0)
    assert judged(files).note == MINI
    assert judged(files).scale == "mini"


def test_the_draws_depend_on_the_claim_s_name_and_on_nothing_else(tmp_path, judged):
    files = cider_runs(tmp_path, "full", 0.1) + cider_runs(tmp_path, "plain", 0.0)
    other = judged(files, CLAIM.replace("c1,", "c2,"))
    assert judged(files) == judged(files[::-1])
    assert (judged(files).low, judged(files).high) != (other.low, other.high)


def test_seeds_that_only_one_side_has_do_not_count(tmp_path, judged):
    files = cider_runs(tmp_path, "full", 0.1, seeds=(1, 2)) + cider_runs(tmp_path, "plain", 0.0, seeds=(2, 3))
    found = judged(files)
    assert found.seeds == 1
    assert "one seed: the spread over seeds is not known" in found.note


def test_items_that_not_every_run_scored_do_not_count_and_are_told(tmp_path, judged):
    files = cider_runs(tmp_path, "full", 0.1, items=ITEMS[:30]) + cider_runs(tmp_path, "plain", 0.0)
    found = judged(files)
    assert found.items == 30
    assert "the 30 items that every run scored, of 40" in found.note


@pytest.mark.parametrize(("only", "note"), [("full", "no metrics of plain"), ("plain", "no metrics of full")])
def test_a_claim_whose_runs_are_not_there_is_not_run(tmp_path, judged, only, note):
    found = judged(cider_runs(tmp_path, only, 0.0))
    assert (found.verdict, found.difference, found.note) == ("not run", None, note)


def test_runs_without_a_common_seed_are_not_run(tmp_path, judged):
    files = cider_runs(tmp_path, "full", 0.1, seeds=(1,)) + cider_runs(tmp_path, "plain", 0.0, seeds=(2,))
    assert (judged(files).verdict, judged(files).note) == ("not run", "a and b have no seed in common")


def bleu_runs(folder, variant, matched, **other):
    statistics = [[8, 8, 8, 7, 6, 5, *(min(matched, m) for m in (8, 7, 6, 5))] for _ in ITEMS]
    table = {"item_id": ITEMS, "bleu4_statistics": statistics}
    return [run(folder, variant, seed, {"bleu4": 0.5}, table, **other) for seed in (1, 2)]


QUOTED = "c1,Table 1,full is above Older,bleu4,full,older,msvd,test,beam5,higher,16.7,percent\n"


def test_a_quoted_number_is_compared_at_paper_scale(tmp_path, judged):
    found = judged(bleu_runs(tmp_path, "full", 8, scale="paper"), QUOTED, scale="paper")
    assert found.verdict == "holds"
    assert found.difference == pytest.approx(100 - 33.3, abs=1e-4)
    assert found.note == ""


def test_a_quoted_number_is_not_compared_at_mini_scale(tmp_path, judged):
    found = judged(bleu_runs(tmp_path, "full", 8), QUOTED)
    assert (found.verdict, found.difference) == ("not run", None)
    assert "paper scale only" in found.note


def test_a_quoted_cell_that_the_paper_leaves_blank_is_an_error(tmp_path, judged):
    with pytest.raises(ValueError, match=r"c1: Table 1, row 1 gives no number"):
        judged(bleu_runs(tmp_path, "full", 8, scale="paper"), QUOTED.replace("bleu4", "cider"), scale="paper")


def test_bleu_is_computed_from_drawn_counts_and_not_as_a_mean_of_items(tmp_path, judged):
    files = bleu_runs(tmp_path, "full", 8) + bleu_runs(tmp_path, "plain", 4)
    found = judged(files, CLAIM.replace("cider", "bleu4"))
    plain = (4 / 8 * 4 / 7 * 4 / 6 * 4 / 5) ** 0.25
    assert found.difference == pytest.approx(100 * (1 - plain), abs=1e-6)


def test_a_metric_that_does_not_decompose_is_judged_over_seeds(tmp_path, judged):
    files = [
        run(tmp_path, variant, seed, {"map": value + seed / 100}, {"item_id": ITEMS})
        for variant, value in (("full", 0.5), ("plain", 0.3))
        for seed in (1, 2, 3)
    ]
    found = judged(files, CLAIM.replace("cider", "map"))
    assert (found.verdict, found.seeds, found.items) == ("holds", 3, 89)
    assert (found.low, found.high) == pytest.approx((20.0, 20.0))
    assert "over seeds only" in found.note


TRAINED = "c1,Section 4,full ends lower,last_loss,full,plain,msvd,pre,training,lower,,\n"


def trainings(folder, variant, values):
    """A table of items without a row lies beside each, as the rule writes it."""
    more = {"split": "pre", "protocol": "training", "items": None, "items_of": None}
    return [
        run(folder, variant, seed, {"last_loss": value}, {"item_id": []}, **more)
        for seed, value in enumerate(values, 1)
    ]


def test_a_claim_about_trainings_is_judged_over_seeds(tmp_path, judged):
    files = trainings(tmp_path, "full", [1.0, 2.0, 3.0]) + trainings(tmp_path, "plain", [1.5, 2.5, 3.5])
    found = judged(files, TRAINED)
    assert (found.verdict, found.seeds, found.items) == ("holds", 3, None)
    assert (found.difference, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert "over seeds only: a training has no items" in found.note


def test_one_training_of_each_decides_nothing(tmp_path, judged):
    found = judged(trainings(tmp_path, "full", [1.0]) + trainings(tmp_path, "plain", [5.0]), TRAINED)
    assert (found.verdict, found.low, found.difference) == ("undecided", None, -4.0)


@pytest.mark.parametrize(("old", "new"), [("training", "beam5"), ("last_loss,full,plain", "mse,full,plain")])
def test_a_claim_that_takes_a_training_for_a_protocol_is_named(judged, old, new):
    with pytest.raises(ValueError, match=r"line 2: .* is not of protocol"):
        judged([], TRAINED.replace(old, new))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0), (None, None)])
def test_an_interval_that_touches_zero_or_is_missing_decides_nothing(low, high):
    assert judge("higher", Interval(0.5, low, high)) == "undecided"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (CLAIM.replace("cider", "spice"), "line 2: no metric 'spice'"),
        (CLAIM.replace("higher", "better"), "line 2: direction 'better': expected higher or lower"),
        (CLAIM.replace("3.1", "-3.1"), "line 2: size -3.1 .* does not point higher"),
        (CLAIM + CLAIM, "line 3: id 'c1' stands twice"),
        (CLAIM.replace("full is above plain", ""), "line 2: statement is empty"),
        (CLAIM.replace("percent", "dB"), "cider in 'dB'"),
    ],
)
def test_a_claim_that_cannot_be_read_is_named_with_its_line(judged, lines, message):
    with pytest.raises(ValueError, match=message):
        judged([], lines)


def test_claims_of_all_methods_are_put_together_in_order(tmp_path, judged):
    judged([], name="one.csv")
    judged([], CLAIM.replace("c1,", "c2,"), name="two.csv")
    out = tmp_path / "all.csv"
    assert collect_claims(parts=[tmp_path / "one.csv", tmp_path / "two.csv"], out=out) == 2
    with out.open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["c1", "c2"]
    with pytest.raises(ValueError, match="'c1' of demo stands twice"):
        collect_claims(parts=[tmp_path / "one.csv"] * 2, out=out)


@pytest.mark.parametrize(
    "claims", sorted(Path("retake/methods").glob("*/claims.csv")), ids=lambda p: p.parent.name
)
def test_sizes_of_a_method_s_claims_are_differences_of_what_its_paper_prints(claims):
    printed = read_reported(claims.with_name("reported.csv"))
    for claim in (one for one in read_claims(claims) if one["size"] is not None):
        gain = (f"{claim['a']} - {claim['b']}", claim["dataset"], claim["split"], claim["metric"])
        if told := [c.value for c in printed if (c.variant, c.dataset, c.split, c.metric) == gain]:
            assert told == [claim["size"]], claim["id"]  # printed as it is
            continue
        sides = []
        for side in "ab":
            place = (claim[side], claim["dataset"], claim["split"], claim["metric"])
            cells = [
                cell for cell in printed if (cell.variant, cell.dataset, cell.split, cell.metric) == place
            ]
            table = claim["where"].split(", row")[
                0
            ]  # of the tables that print the cell, the one it speaks of
            rows = [f"{table}, row {row}" for row in re.findall(r"\d+", claim["where"].removeprefix(table))]
            (cell,) = [cell for cell in cells if cell.where in rows]  # several: they are of several protocols
            sides.append(cell.value)
        assert claim["size"] == pytest.approx(sides[0] - sides[1], abs=1e-9), claim["id"]
