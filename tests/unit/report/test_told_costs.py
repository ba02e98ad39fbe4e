"""Costs in tables and claims: beside what the paper prints, of the right kind, and never a verdict on times."""

import csv

import pytest

from retake.report.claims import judge_claims
from retake.report.tables import tabulate
from retake.schema.costs import CostFile
from retake.schema.strict import SettingError
from tests.unit.report.runs import run

HEAD = "where,system,kind,variant,dataset,split,metric,value,unit,said_by,tolerance,note\n"
REPORTED = (
    HEAD
    + """"Table 1, row 1",Other,C,other,,,gflops,10.0,GFLOPs,paper,0.5,rounding
"Table 1, row 1",Other,Q,other,msvd,test,top1,80.0,percent,paper,,
"Table 1, row 1",Other,Q,other,msrvtt,test,top1,40.0,percent,paper,,
"Table 1, row 2",Mine,C,full,,,gflops,4.0,GFLOPs,paper,0.1,rounding
"Table 1, row 2",Mine,M,full,msvd,test,top1,90.0,percent,paper,,
"Table 1, row 2",Mine,M,full,msrvtt,test,top1,50.0,percent,paper,,
"Table 2, row 1",Flows,B,flows,,,ms_prepare,75.0,ms per frame,paper,,on a GPU
"Table 2, row 1",Flows,B,flows,,,ms_at_once,0.9,ms per frame,paper,,
"Table 2, row 2",Mine,M,full,,,ms_prepare,2.9,ms per frame,paper,,
"Table 2, row 2",Mine,M,full,,,ms_at_once,,ms per frame,paper,,not printed
"""
)
COUNTED = {"other": {"gflops": 10.3}, "full": {"gflops": 4.26}}
TIMED = {
    "flows": {"ms_prepare": 300.0, "ms_at_once": 90.0},
    "full": {"ms_prepare": 2.0, "ms_at_once": 30.0},
    "plain": {"ms_at_once": 60.0},
}
SYSTEMS = {
    name: {"label": name.title(), "kind": "M" if name == "full" else "B"} for name in [*COUNTED, *TIMED]
}
ROWS = [
    {"variant": "full", "dataset": d, "split": "test", "protocol": "p", "metrics": ["top1"]}
    for d in ("msvd", "msrvtt")
]
FIRST = {
    "title": "Cost", "seeds": [1], "columns": {"msvd": "MSVD", "msrvtt": "MSR-VTT"}, "rows": ROWS,
    "costs": [{"cost": "operations", "systems": [], "metrics": ["gflops"]}],
}  # fmt: skip
SECOND = {
    "title": "Time", "seeds": [1],
    "costs": [{"cost": "times", "systems": list(TIMED), "metrics": ["ms_prepare", "ms_at_once"]}],
}  # fmt: skip


def cost_file(folder, kind, values, **other):
    name = "operations" if kind == "operations" else "times"
    machine = "a processor, 2 in use" if kind == "time" else None
    file = CostFile(
        **{"method": "demo", "cost": name, "kind": kind, "machine": machine, "values": values} | other
    )
    path = folder / f"{file.cost}.json"
    path.write_text(file.text())
    return path


@pytest.fixture
def table(tmp_path):
    def made(name, spec, costs, metrics=(), scale="mini", reported=REPORTED):
        (tmp_path / "reported.csv").write_text(reported)
        out = tmp_path / f"{name}.csv"
        tabulate(
            method="demo", table=name, spec=spec, metrics_files=list(metrics), reported=tmp_path / "reported.csv",
            scale=scale, out_csv=out, out_md=out.with_suffix(".md"), cost_files=costs, systems=SYSTEMS,
        )  # fmt: skip
        with out.open(newline="") as file:
            cells = list(csv.DictReader(file))
        return {(c["system"], c["metric"], c["column"]): c for c in cells}, out.with_suffix(".md").read_text()

    return made


def scores(folder, scale="mini"):
    return [run(folder, "full", 1, {"top1": 0.7}, dataset="msvd", protocol="p", scale=scale)]


def test_a_printed_row_holds_a_counted_cost_and_quoted_or_measured_scores(table, tmp_path):
    cells, text = table("table_1", FIRST, [cost_file(tmp_path, "operations", COUNTED)], scores(tmp_path))
    assert {c["row"] for key, c in cells.items() if key[0] == "Other"} == {"1"}
    assert {c["row"] for key, c in cells.items() if key[0] == "Mine"} == {"2"}
    kinds = [(key, c["kind"], c["ours"]) for key, c in cells.items()]
    assert kinds == [
        (("Other", "gflops", ""), "C", "10.3"),
        (("Other", "top1", "MSVD"), "Q", ""),
        (("Other", "top1", "MSR-VTT"), "Q", ""),
        (("Mine", "gflops", ""), "C", "4.26"),
        (("Mine", "top1", "MSVD"), "M", "70.0"),
        (("Mine", "top1", "MSR-VTT"), "M", ""),
    ]
    head = text.splitlines()[2]
    assert head.count("cost [GFLOPs]") == 2
    assert head.count("MSVD, top-1 [percent]") == 2
    assert "| Other | C and Q | msvd and msrvtt test | 10.0 | 10.3" in text
    mine = next(line for line in text.splitlines() if line.startswith("| Mine"))
    assert mine.endswith("| 1 | 89 of 90 |")


def test_a_counted_cost_is_held_to_the_papers_at_any_scale(table, tmp_path):
    cells, text = table("table_1", FIRST, [cost_file(tmp_path, "operations", COUNTED)], scores(tmp_path))
    assert (cells["Other", "gflops", ""]["verdict"], cells["Other", "gflops", ""]["scale"]) == (
        "reproduced",
        "paper",
    )
    assert cells["Mine", "gflops", ""]["verdict"] == "higher"  # 4.26 - 4.0 is more than 0.1
    assert cells["Mine", "top1", "MSVD"]["verdict"] == "mini: not compared"
    assert "10.3 (reproduced)" in text
    assert "these numbers are not compared with the paper's" in text


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_times_stand_beside_the_papers_without_a_verdict_and_name_their_machine(table, tmp_path, scale):
    cells, text = table("table_2", SECOND, [cost_file(tmp_path, "time", TIMED)], scale=scale)
    cell = cells["Flows", "ms_prepare", ""]
    assert (cell["kind"], cell["paper"], cell["ours"]) == ("B", "75.0", "300.0")
    assert cell["verdict"] == "another machine: not compared"
    assert cell["note"] == "on a GPU; measured on a processor, 2 in use"
    assert (cells["Mine", "ms_at_once", ""]["paper"], cells["Mine", "ms_at_once", ""]["ours"]) == ("", "30.0")
    assert text.count("Times: measured on a processor, 2 in use;") == 1
    assert "mini scale: these numbers" not in text


def test_a_system_that_the_paper_does_not_print_comes_last_and_its_missing_time_is_said(table, tmp_path):
    cells, _ = table("table_2", SECOND, [cost_file(tmp_path, "time", TIMED)])
    last = [c for c in cells.values() if c["row"] == "3"]
    assert [(c["system"], c["variant"], c["kind"], c["metric"], c["ours"], c["verdict"]) for c in last] == [
        ("Plain", "plain", "B", "ms_prepare", "", "none"),
        ("Plain", "plain", "B", "ms_at_once", "60.0", "another machine: not compared"),
    ]


def test_a_cost_that_is_not_asked_for_is_not_run(table):
    spec = FIRST | {"costs": []}
    cells, _ = table("table_1", spec, [])
    assert (cells["Other", "gflops", ""]["ours"], cells["Other", "gflops", ""]["verdict"]) == ("", "not run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": SECOND["costs"]}, "no file of 'times'; have operations"),
        (
            {"costs": [{"cost": "operations", "systems": ["nobody"], "metrics": ["gflops"]}]},
            "no system 'nobody'",
        ),
        ({"costs": []}, "cost 'operations': no row of the table asks for it"),
        ({"costs": [], "rows": []}, "expected rows, or costs, or both"),
    ],
)
def test_rows_and_files_must_fit(change, message, table, tmp_path):
    with pytest.raises((ValueError, SettingError), match=message):
        table("table_1", FIRST | change, [cost_file(tmp_path, "operations", COUNTED)])


def test_another_methods_file_and_one_that_stands_twice_are_errors(table, tmp_path):
    path = cost_file(tmp_path, "operations", COUNTED)
    with pytest.raises(ValueError, match=r"operations.json: cost 'operations' stands twice"):
        table("table_1", FIRST, [path, path])
    other = cost_file(tmp_path, "operations", COUNTED, method="other")
    with pytest.raises(ValueError, match="is of other; expected demo"):
        table("table_1", FIRST, [other])


def test_a_quoted_cost_that_the_recipe_tells_is_an_error(table, tmp_path):
    quoted = REPORTED.replace("Other,C,other,,,gflops", "Other,Q,other,,,gflops")
    with pytest.raises(ValueError, match="Table 1, row 1: Other is quoted, and its cost is told"):
        table("table_1", FIRST, [cost_file(tmp_path, "operations", COUNTED)], reported=quoted)


CLAIMS = "id,where,statement,metric,a,b,dataset,split,protocol,direction,size,unit\n"


@pytest.fixture
def judged(tmp_path):
    def made(line, costs):
        (tmp_path / "claims.csv").write_text(CLAIMS + line + "\n")
        (tmp_path / "reported.csv").write_text(REPORTED)
        (found,) = judge_claims(
            method="demo", claims=tmp_path / "claims.csv", metrics_files=[], reported=tmp_path / "reported.csv",
            scale="mini", out=tmp_path / "out.csv", cost_files=costs,
        )  # fmt: skip
        return found

    return made


@pytest.mark.parametrize(
    ("direction", "size", "verdict"), [("lower", "-6", "holds"), ("higher", "6", "contradicted")]
)
def test_a_claim_of_a_counted_cost_is_judged_by_the_file(direction, size, verdict, judged, tmp_path):
    line = f"c,Table 1,Cheaper,gflops,full,other,,,,{direction},{size},GFLOPs"
    found = judged(line, [cost_file(tmp_path, "operations", COUNTED)])
    assert (found.verdict, found.difference, found.scale) == (verdict, pytest.approx(4.26 - 10.3), "paper")
    assert judged(line, []).verdict == "not run"
    assert judged(line, []).note == "no cost of full"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "c,T,Faster,ms_at_once,full,other,,,,lower,-1,ms per frame",
            "line 2: ms_at_once differs from run to run",
        ),
        (
            "c,T,Cheaper,gflops,full,other,msvd,,,lower,-1,GFLOPs",
            "line 2: dataset: a cost has none, not 'msvd'",
        ),
        ("c,T,Better,top1,full,other,,test,p,higher,1,percent", "line 2: dataset is empty"),
    ],
)
def test_claims_of_costs_have_no_data_set_and_those_of_times_are_refused(line, message, judged):
    with pytest.raises(ValueError, match=message):
        judged(line, [])


LAYERS = (
    HEAD
    + """"Table 3, row 1",conv1,C,first,,,out_channels,64,,paper,0,counted
"Table 3, row 1",conv1,C,first,,,out_frames,32,frames,paper,0,counted
"Table 3, row 2",res2,C,second,,,out_channels,256,,paper,0,counted
"Table 3, row 2",res2,C,second,,,out_frames,16,frames,paper,0,counted
"""
)
PARTS = {"first": {"out_channels": 64.0, "out_frames": 32.0}, "second": {"out_channels": 250.0}}
THIRD = {
    "title": "Layers",
    "seeds": [1],
    "costs": [{"cost": "layers", "metrics": ["out_channels", "out_frames"]}],
}


def test_layers_stand_beside_those_that_the_paper_prints(table, tmp_path):
    """Whole numbers, a verdict at any scale, and what a part does not have is none."""
    file = cost_file(tmp_path, "parts", PARTS, cost="layers")
    cells, text = table("table_3", THIRD, [file], reported=LAYERS)
    assert [(c["ours"], c["paper"], c["verdict"], c["scale"]) for c in cells.values()] == [
        ("64.0", "64.0", "reproduced", "paper"),
        ("32.0", "32.0", "reproduced", "paper"),
        ("250.0", "256.0", "lower", "paper"),
        ("", "16.0", "none", "paper"),
    ]
    assert "| conv1 | C |  | 64 | 64 (reproduced) | 32 | 32 (reproduced) |" in text
    assert "| res2 | C |  | 256 | 250 (lower) | 16 | none |" in text
