"""What is said of labels in tables and claims: two rows, never a verdict at mini scale, empty where nobody judged."""

import csv

import pytest

from retake.report.claims import judge_claims
from retake.report.tables import tabulate
from retake.schema.quality import QualityFile
from retake.schema.strict import SettingError

HEAD = "where,system,kind,variant,dataset,split,metric,value,unit,said_by,tolerance,note\n"
REPORTED = (
    HEAD
    + """"Caption quality, row 1",Speech,M,asr,,,label_fits,45,percent,paper,,100 clips
"Caption quality, row 1",Speech,M,asr,,,label_chat,42,percent,paper,,
"Caption quality, row 2",Pseudo,M,pseudo,,,label_fits,88,percent,paper,5,one in twenty
"Caption quality, row 2",Pseudo,M,pseudo,,,label_words,10.0,words,paper,,
"""
)
SPEC = {
    "title": "Quality",
    "seeds": [1],
    "labels": [
        {
            "labeller": "blip",
            "dataset": "films",
            "metrics": ["label_fits", "label_chat", "label_words", "label_gain"],
        }
    ],
}
JUDGED = {
    "asr": {"label_fits": 0.4, "label_chat": 0.45, "label_words": 20.5, "label_gain": 0.38},
    "pseudo": {"label_fits": 0.8, "label_words": 9.25, "label_gain": 0.7},
}
SPREAD = {"value": 0.4, "low": 0.3, "high": 0.5}


def quality(folder, **other):
    told = {"labeller": "blip", "dataset": "films", "scale": "mini", "judged_by": "truth"}
    told |= {"clips": {"asr": 30, "pseudo": 40}, "values": JUDGED, "differences": {"label_fits": SPREAD}}
    told |= {"gains": {"pseudo": {"value": 0.7, "low": 0.61, "high": 0.79}}}
    file = QualityFile.model_validate(told | other)
    path = folder / f"{file.labeller}_{file.dataset}.json"
    path.write_text(file.text())
    return path


@pytest.fixture
def table(tmp_path):
    def made(paths, scale="mini", spec=SPEC):
        (tmp_path / "reported.csv").write_text(REPORTED)
        out = tmp_path / "t.csv"
        tabulate(
            method="demo", table="caption_quality", spec=spec, metrics_files=[], reported=tmp_path / "reported.csv",
            scale=scale, out_csv=out, out_md=out.with_suffix(".md"), quality_files=paths,
        )  # fmt: skip
        with out.open(newline="") as file:
            return {(c["system"], c["metric"]): c for c in csv.DictReader(file)}, out.with_suffix(
                ".md"
            ).read_text()

    return made


def test_both_rows_stand_beside_what_the_paper_prints(table, tmp_path):
    cells, text = table([quality(tmp_path)])
    fits = cells["Speech", "label_fits"]
    assert (fits["paper"], fits["ours"], fits["unit"], fits["items"]) == ("45.0", "40.0", "percent", "30")
    assert cells["Pseudo", "label_fits"]["ours"] == "80.0"
    assert cells["Pseudo", "label_words"]["ours"] == "9.25"
    assert cells["Pseudo", "label_gain"]["note"] == "judged by truth; 95% interval 61.0 to 79.0"
    assert {c["verdict"] for c in cells.values()} == {"mini: not compared", "none"}
    assert cells["Pseudo", "label_chat"]["verdict"] == "none"
    assert cells["Speech", "label_fits"]["note"] == "100 clips; judged by truth"
    assert "| Speech | M |" in text
    assert len({c["row"] for c in cells.values()}) == 2


def test_at_paper_scale_people_are_compared_with_the_paper(table, tmp_path):
    cells, _ = table([quality(tmp_path, scale="paper", judged_by="people")], scale="paper")
    assert cells["Pseudo", "label_fits"]["verdict"] == "lower"
    assert cells["Speech", "label_fits"]["verdict"] == "no verdict: no tolerance stated"
    assert cells["Pseudo", "label_gain"]["verdict"] == "no verdict: no number in the paper"


def test_where_nobody_judged_cells_are_empty_and_say_so(table, tmp_path):
    bare = {row: {"label_words": 9.0, "label_distinct": 0.5} for row in ("asr", "pseudo")}
    path = quality(tmp_path, scale="paper", judged_by="nobody", values=bare, gains={}, differences={})
    cells, _ = table([path], scale="paper")
    fits = cells["Pseudo", "label_fits"]
    assert (fits["ours"], fits["verdict"]) == ("", "not judged")
    assert "nobody judged the labels: config.yaml, judgements.films, names a CSV" in fits["note"]
    assert cells["Pseudo", "label_words"]["ours"] == "9.0"


def test_a_file_that_is_missing_strange_or_of_another_scale_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match="labels: no file of blip on films"):
        table([])
    strange = quality(tmp_path, dataset="others")
    with pytest.raises(ValueError, match="labels of others by blip: no row of the table asks for them"):
        table([quality(tmp_path), strange])
    with pytest.raises(ValueError, match="is of mini scale; expected paper"):
        table([quality(tmp_path)], scale="paper")
    with pytest.raises(ValueError, match="stand twice"):
        table([quality(tmp_path)] * 2)
    wrong = SPEC | {"labels": [SPEC["labels"][0] | {"metrics": ["cider"]}]}
    with pytest.raises(SettingError, match="'cider' is not said of labels"):
        table([quality(tmp_path)], spec=wrong)


CLAIMS = """id,where,statement,metric,a,b,dataset,split,protocol,direction,size,unit
fit,Section 5,labels fit more often,label_fits,pseudo,asr,films,,,higher,43,percent
turned,Section 5,the same,label_fits,asr,pseudo,films,,,higher,,percent
other,Section 5,of others,label_fits,pseudo,asr,elsewhere,,,higher,,percent
"""


@pytest.fixture
def claims(tmp_path):
    def judged(path):
        (tmp_path / "claims.csv").write_text(CLAIMS)
        (tmp_path / "reported.csv").write_text(REPORTED)
        rows = judge_claims(
            method="demo", claims=tmp_path / "claims.csv", metrics_files=[], reported=tmp_path / "reported.csv",
            scale="mini", out=tmp_path / "judged.csv", quality_files=[path],
        )  # fmt: skip
        return {row.id: row for row in rows}

    return judged


def test_a_claim_about_labels_is_judged_by_the_interval_over_videos(claims, tmp_path):
    judged = claims(quality(tmp_path))
    fit, turned = judged["fit"], judged["turned"]
    assert (fit.difference, fit.low, fit.high, fit.verdict) == (40.0, 30.0, 50.0, "holds")
    assert (turned.difference, turned.low, turned.high, turned.verdict) == (
        -40.0,
        -50.0,
        -30.0,
        "contradicted",
    )
    assert "mini scale" in fit.note
    assert judged["other"].difference is None
    assert judged["other"].note == "no labels of elsewhere"


def test_a_claim_about_labels_that_nobody_judged_is_not_run(claims, tmp_path):
    judged = claims(quality(tmp_path, differences={}))
    assert (judged["fit"].difference, judged["fit"].note) == (None, "nobody judged the labels")
