"""Strange file names and strange captions go from the user's folder to table and report, each on its own item."""

import csv
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
import yaml

from tests.unit.data import clips

NAMES = [
    "two words.mp4",
    'it\'s "quoted".mp4',
    "naïve 日本 \N{GRINNING FACE}.mp4",
    "-leading-dash.mp4",
    "new\nline.mp4",
    "semi;colon, comma.mp4",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}.mp4",
    "$(touch pwned) `touch pwned`.mp4",
    "{video} %s \\1.mp4",
    "tab\there.mp4",
    "a & b <c>.mp4",
    "folder of, mine/same.mp4",
]
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 4
CAPTIONS = [
    "a cat, which runs, jumps",
    'a dog says "hello" to a man',
    "a bird\tflies",
    "a robot stops\rand a car goes",
    "a girl ||| a fish",
    "a cat \N{GRINNING FACE} sleeps",
    "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED} runs",
    "a man " + "walks and " * 5000,
    "<script>alert('caption')</script> a car",
    "-a dog that begins with a dash",
    "=SUM(A1:A2) a robot",
    "a line\nand\u2028another\x85of a bird",
]
VARIANT, PROTOCOL = "step1", "beam5"


class Scripts(HTMLParser):
    """Text of the script elements of a page."""

    def __init__(self):
        super().__init__()
        self.inside, self.found = False, []

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "script"

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found.append(data)


@pytest.fixture(scope="module")
def run(built, tmp_path_factory):
    """The smallest build's project after one more table, of own videos."""
    place = tmp_path_factory.mktemp("strange")
    project = built.copied(place / "copy")
    videos = place / "my videos"
    for number, name in enumerate(NAMES):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        clips.write(videos / name, clips.pictures(8, seed=number), options={"crf": "10"})
    table = place / "my, captions.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "split", "caption"])
        rows.writerows(zip(NAMES, SPLITS, CAPTIONS, strict=True))
    config = yaml.safe_load((project.folder / "config.yaml").read_text(encoding="utf-8"))
    config["run"] = [{"method": "etenet", "datasets": ["own"]}]
    config["own"] = {"videos": str(videos), "captions": str(table)}
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    project.snakemake("--cores", "2")
    return project


def predictions(project):
    path = f"results/mini/predictions/etenet/{VARIANT}/own/seed1/{PROTOCOL}/test.parquet"
    return pd.read_parquet(project.folder / path)


def test_every_name_and_caption_stands_in_the_annotation_table_as_it_was_given(run):
    table = pd.read_parquet(run.folder / "results/mini/annotations/own.parquet")
    found = dict(zip(table["video_id"], zip(table["split"], table["text_out"], strict=True), strict=True))
    assert found == dict(zip(NAMES, zip(SPLITS, CAPTIONS, strict=True), strict=True))


def test_no_video_is_lost_and_none_is_listed_as_failed(run):
    [index] = (run.folder / "results/mini/media").glob("*/own/index.parquet")
    assert set(pd.read_parquet(index)["video_id"]) == set(NAMES)
    assert len(index.with_name("failures.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_every_item_is_answered_and_scored_under_its_own_name(run):
    wanted = {name for name, split in zip(NAMES, SPLITS, strict=True) if split == "test"}
    assert set(predictions(run)["item_id"]) == wanted
    metrics, items = (
        run.folder / f"results/mini/{kind}/etenet/{VARIANT}/own/seed1/{PROTOCOL}"
        for kind in ("metrics", "items")
    )
    assert set(pd.read_parquet(items / "test.parquet")["item_id"]) == wanted
    written = json.loads((metrics / "test.json").read_text(encoding="utf-8"))
    assert written["items"] == written["items_of"] == len(wanted)
    assert (run.folder / "results/mini/tables/etenet/own.csv").stat().st_size


def test_the_report_shows_them_as_text_and_runs_none_of_them(run):
    page = (run.folder / "results/mini/report/index.html").read_text(encoding="utf-8")
    scripts = Scripts()
    scripts.feed(page)
    assert not any("alert('caption')" in script for script in scripts.found)
    assert "<script>alert" not in page
    assert not re.search(r"<c>\.mp4", page)


def test_no_name_was_run_as_a_command(run):
    assert list(run.folder.rglob("pwned*")) == []
