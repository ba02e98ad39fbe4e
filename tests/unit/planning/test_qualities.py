"""The quality of labels in the plan: who judges, from which files, and which recipes and configs are refused."""

from types import SimpleNamespace

import pytest

from retake.planning.qualities import Qualities
from retake.schema.figures import LabelledFigure, StillsFigure
from retake.schema.quality import QualityRow
from retake.schema.strict import SettingError

ROW = QualityRow(labeller="blip", dataset="films", metrics=["label_fits"])
GROUP = {"label": "moving", "words": ["moves"]}


class Plan(Qualities):
    """The rest of a plan in few words: one method, one labeller, a release of which two data sets are read."""

    def __init__(self, made=("tape",), judgements=None, row=ROW):
        self.file, self.scale, self.results = "config.yaml", "mini", "results/mini"
        self.config = SimpleNamespace(judgements=judgements or {})
        figures = {
            "figure_1": LabelledFigure(kind="labelled", title="t", labeller="blip", dataset="films"),
            "figure_3": StillsFigure(
                kind="stills", title="t", labeller="blip", dataset="films", groups=[GROUP]
            ),
        }
        tables = {"caption_quality": SimpleNamespace(labels=[row]), "table_1": SimpleNamespace(labels=[])}
        self.recipes = {"pulse": SimpleNamespace(tables=tables, figures=figures)}
        self.recipe_files = {"pulse": "pulse/recipe.yaml"}
        self.made, self.datasets, self.labellers = list(made), ["films", "topics"], {"blip": {}}
        self.claims = ""

    def tables_of(self, method, headline=False):
        return list(self.recipes[method].tables)

    def claims_of(self, method):
        return self.claims

    def annotations(self, dataset):
        return f"annotations/{dataset}"

    def release_of(self, dataset):
        return "tape"

    def shards(self, release):
        return ["000", "001"]

    def manifests(self, release):
        return [f"{release}/{shard}" for shard in self.shards(release)]

    def label_table(self, labeller, release):
        return f"labels/{labeller}/{release}"

    def label_shards(self, labeller, release, file):
        return [f"labels/{labeller}/{release}/{shard}/{file}" for shard in self.shards(release)]

    def label_job(self, labeller, release, shard):
        inputs = {"manifest": f"{release}/{shard}", "weights": "w", "config": "c", "tokenizer": ["t"]}
        return {"inputs": inputs, "recipe": {"labeller": labeller, "release": release, "spec": {"size": 320}}}

    def labeller_code(self, labeller):
        return f"weights/{labeller}"


def test_the_truth_judges_where_the_world_made_the_release():
    job = Plan().quality_job("blip", "films")
    assert job["inputs"] == {
        "asr": "annotations/films",
        "labels": "labels/blip/tape",
        "truth": "results/mini/releases/tape/truth.parquet",
    }
    assert job["recipe"] == {"identity": {"labeller": "blip", "dataset": "films", "scale": "mini"}}


def test_people_judge_where_they_are_named_and_nobody_where_there_is_neither():
    job = Plan(judgements={"films": "people.csv"}).quality_job("blip", "films")
    assert job["inputs"]["judgements"] == "people.csv"
    assert "truth" not in job["inputs"]
    assert set(Plan(made=()).quality_job("blip", "films")["inputs"]) == {"asr", "labels"}


def test_a_table_is_made_from_the_file_of_its_labels_and_a_claim_too(tmp_path):
    plan = Plan()
    file = "results/mini/metrics/labels/blip/films.json"
    assert plan.qualities_of_table("pulse", "caption_quality") == plan.every_quality_file() == [file]
    assert plan.qualities_of_table("pulse", "table_1") == plan.qualities_of_table("pulse", "unknown") == []
    plan.claims = tmp_path / "claims.csv"
    plan.claims.write_text("metric,dataset\nlabel_fits,films\ncider,films\n")
    assert plan.claim_qualities("pulse") == [file]
    plan.claims.write_text("metric,dataset\nlabel_fits,others\ncider,films\n")
    assert plan.claim_qualities("pulse") == []


def test_figures_are_drawn_from_what_the_labelling_kept_and_from_stills():
    plan = Plan()
    shown = [f"labels/blip/tape/{shard}/shown.parquet" for shard in ("000", "001")]
    assert plan.label_figure_inputs("pulse", "figure_1") == {"shown": shown, "asr": "annotations/films"}
    stills = "results/mini/media/examples/pulse/figure_3.stills.parquet"
    assert plan.label_figure_inputs("pulse", "figure_3") == {"pictures": stills}
    job = plan.stills_job("pulse", "figure_3")
    assert job["inputs"] == {
        "annotations": "annotations/films", "manifests": ["tape/000", "tape/001"], "weights": "w", "config": "c",
        "tokenizer": ["t"],
    }  # fmt: skip
    assert job["recipe"]["spec"] == {"size": 320}
    assert job["recipe"]["stills"]["groups"] == [GROUP | {"also": [], "never": []}]
    assert job["recipe"]["stills"]["samples"] == 3
    assert plan.stills_code("pulse", "figure_3") == "weights/blip"
    with pytest.raises(SettingError, match="'figure_1' shows no stills"):
        plan.stills_job("pulse", "figure_1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"row": ROW.model_copy(update={"labeller": "blib"})},
            "tables.caption_quality.labels: no labeller 'blib'",
        ),
        (
            {"row": ROW.model_copy(update={"dataset": "film"})},
            "tables.caption_quality.labels: no data set 'film'",
        ),
        ({"judgements": {"film": "x.csv"}}, "config.yaml: judgements: no data set 'film' in this run"),
        ({"judgements": {"films": "nowhere.csv"}}, r"judgements\.films: nowhere\.csv is no file"),
    ],
)
def test_what_is_not_there_is_refused_before_any_job(change, said):
    with pytest.raises(SettingError, match=said):
        Plan(**change).check_qualities()


def test_what_is_there_is_accepted(tmp_path):
    (tmp_path / "people.csv").write_text("")
    Plan(judgements={"films": str(tmp_path / "people.csv")}).check_qualities()
