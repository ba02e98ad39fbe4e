"""What the thesis prints and claims: the cells against each other, and how far the text lets them be placed."""

from collections import Counter
from pathlib import Path

import pytest

from retake.report.claims import read_claims
from retake.report.reported import read_reported

HERE = Path("retake/methods/lfb")
CELLS = read_reported(HERE / "reported.csv")
CLAIMS = read_claims(HERE / "claims.csv")
DATASETS = {"ava21", "epic_verb", "epic_noun", "epic_action", "charades", ""}
TRUNK, FBO = 34_582_336, {2: 4_199_424, 3: 5_250_048}  # METHODS 8.6


def of(table, metric="map", **named):
    return [
        cell
        for cell in CELLS
        if cell.table == table
        and cell.metric == metric
        and all(getattr(cell, name) == value for name, value in named.items())
    ]


def test_every_table_has_the_rows_that_the_thesis_prints():
    rows = Counter(table for table, _ in {(cell.table, cell.where) for cell in CELLS})
    assert rows == {
        "table_7_1": 7,
        "table_7_2a": 4,
        "table_7_2b": 3,
        "table_7_2c": 3,
        "table_7_2d": 4,
        "table_7_2e": 8,
        "table_7_2f": 6,
        "table_7_2g": 5,
        "table_7_2h": 9,
        "table_7_3": 17,
        "table_7_4": 2,
        "table_7_5": 24,
    }
    assert {cell.dataset for cell in CELLS} == DATASETS
    # 2, 3, 5, 10, 15, 30 and 60 s; banks have no 2 s
    assert [len(of("table_7_2a", where=f"Table 7.2a, row {n}")) for n in (1, 2, 3, 4)] == [7, 7, 6, 6]


@pytest.mark.parametrize(
    ("variant", "dataset", "value"),
    [("lfb", "ava21", 25.5), ("cnn", "ava21", 22.1), ("sto", "ava21", 23.2), ("cnn", "charades", 38.3),
     ("sto", "charades", 39.6), ("nl3", "ava21", 25.8)],
)  # fmt: skip
def test_a_network_has_one_number_wherever_it_is_printed(variant, dataset, value):
    told = [
        c
        for c in CELLS
        if (c.variant, c.dataset, c.metric) == (variant, dataset, "map") and c.split != "challenge"
    ]
    assert len({cell.table for cell in told}) > 1
    assert {cell.value for cell in told} == {value}


@pytest.mark.parametrize("dataset", ["epic_verb", "epic_noun", "epic_action"])
@pytest.mark.parametrize("metric", ["top1", "top5"])
def test_the_row_of_gains_is_the_best_bank_less_the_short_term_network(dataset, metric):
    (gain,) = of("table_7_3", metric, dataset=dataset, where="Table 7.3, row 9")
    best, base = (
        next(c.value for c in of("table_7_3", metric, dataset=dataset, variant=name, split="val"))
        for name in gain.variant.split(" - ")
    )
    assert gain.value == pytest.approx(best - base, abs=1e-9)
    ours = [
        c.value
        for c in of("table_7_3", "top1", dataset=dataset, split="val", kind="M")
        if " - " not in c.variant
    ]
    top1 = next(
        c.value
        for c in of("table_7_3", "top1", dataset=dataset, split="val", variant=gain.variant.split(" - ")[0])
    )
    assert top1 == max(ours)


def test_the_printed_flops_are_the_ratio_of_the_parameters():
    """By METHODS 8.6's counts: trunk and operator beside the trunk, doubled, or with the trunk that writes the bank."""
    counted = {
        "sto": (TRUNK + FBO[2]) / TRUNK,
        "sto_x2": 2 * (TRUNK + FBO[2]) / TRUNK,
        "lfb": (2 * TRUNK + FBO[2]) / TRUNK,
        "nl3": (2 * TRUNK + FBO[3]) / TRUNK,
    }
    for variant, ratio in counted.items():
        (flops,), (params,) = (
            of("table_7_2f", metric, variant=variant) for metric in ("gflops_x", "params_m_x")
        )
        assert round(ratio, 2) == flops.value
        assert round(ratio, 2) != params.value
        assert "exchanged" in flops.note
        assert "exchanged" in params.note


def test_cells_that_the_text_does_not_place_say_so():
    placed = {cell.value for cell in CELLS if "place inferred" in cell.note}
    assert placed == {21.1, 34.4, 37.2, 39.5, 40.8}
    challenge = of("table_7_5", split="challenge")
    assert len(challenge) == 24
    assert sorted(c.value for c in challenge if c.value is not None) == [34.4, 37.2, 39.5, 40.8, 43.4]
    assert all(cell.note for cell in CELLS if cell.value is None)


def test_claims_speak_of_what_is_printed_and_no_quoted_row_is_measured():
    names = {cell.variant for cell in CELLS}
    quoted = {cell.variant for cell in CELLS if cell.kind == "Q"}
    assert not quoted & {cell.variant for cell in CELLS if cell.kind != "Q"}
    assert {claim["a"] for claim in CLAIMS} <= names - quoted
    assert {claim["b"] for claim in CLAIMS} <= names | {"cnn_r101"}  # printed in figure 7.7 alone
    assert {claim["protocol"] for claim in CLAIMS} == {"centre", "crops3_flip_scales", "views30"}


def test_what_the_thesis_finds_stands_among_the_claims():
    ids = {claim["id"] for claim in CLAIMS}
    assert ids >= {
        "bank_over_longer_clip", "nl_over_max", "nl_over_avg", "max_over_nl_verb", "max_over_nl_noun",
        "max_over_nl_action", "decoupled_over_ava_features", "decoupled_over_k400_features", "detection_over_grid4",
        "detection_over_global", "grid4_over_global", "norm_helps", "norm_most_scale", "norm_most_dropout",
        "bank_over_ensemble_cnn", "bank_over_ensemble_sto", "causal_over_cnn", "schedule_cnn", "r101_gains",
        "charades_avg_below_sto_r50", "charades_max_below_sto_r101", "over_baradel", "over_tsn_s1", "over_tsn_s2",
    }  # fmt: skip
