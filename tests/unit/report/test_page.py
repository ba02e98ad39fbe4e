"""The page: whole without another file, complete, and safe whatever a caption says."""

import re
from html.parser import HTMLParser

import pytest

from retake.report import page as page_module
from retake.report.figures import draw_figure
from retake.report.page import PageTooLarge, render_report
from retake.report.page_curves import POINTS, thinned, ticks
from tests.unit.report import pages

VOID = {"meta", "img", "br", "link", "input"}


class Parsed(HTMLParser):
    """Tags with their attributes, and the text a reader sees, by the section it stands in."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.section = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.text[self.section] = self.text.get(self.section, "") + data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A results folder with its figure, made once, as render_report's arguments."""
    root = tmp_path_factory.mktemp("results")
    svg = root / "figures" / "demo" / "figure_3.svg"
    svg.parent.mkdir(parents=True)
    inputs = pages.runs(root / "runs")
    files = {"out_svg": svg, "out_csv": svg.with_suffix(".csv")}
    draw_figure(method="demo", figure="figure_3", spec=pages.SPEC, inputs=inputs, **files)
    return pages.results(root) | {"figures": [svg]}


@pytest.fixture
def rendered(given, tmp_path):
    def render(**other):
        out = tmp_path / "index.html"
        render_report(**given | {"out": out} | other)
        text = out.read_text(encoding="utf-8")
        return text, Parsed(text)

    return render


def test_nothing_is_loaded_from_anywhere(rendered):
    text, page = rendered()
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/")), (
                f"{tag} {name}={attrs[name][:60]}"
            )
    assert not page.all("link")
    assert not re.search(r"@import|url\(", text)
    policy = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert policy[0].startswith("default-src 'none'")


def test_every_tag_is_closed(rendered):
    assert rendered()[1].open == []


def test_every_table_stands_there_with_title_and_numbers(rendered):
    _, page = rendered()
    assert {"demo-table_1", "demo-table_2"} <= {f.get("id") for f in page.all("figure")}
    for said in ("Captions of one <data> set", "A third group", "80.3", "64.9", "90 of 90", "not run"):
        assert said in page.text["tables"]
    rows = [attrs["class"] for attrs in page.all("tr") if attrs.get("class")]
    assert rows == ["quoted"] * 2 + ["measured"] * 4


def test_every_claim_stands_there_with_its_verdict_and_interval(rendered):
    _, page = rendered()
    for said in (
        "Training end to end helps",
        "It helps <i>everywhere</i>",
        "close_call",
        "Better than all others",
    ):
        assert said in page.text["claims"]
    for said in ("✓ holds", "✗ contradicted", "? undecided", "– not run", "+3.4", "[+1.1, +5.9]", "−2.2"):
        assert said in page.text["claims"]
    bars = [r for r in page.all("rect") if r.get("class") in ("holds", "contradicted", "undecided")]
    places = [(float(b["x"]), float(b["x"]) + float(b["width"])) for b in bars]
    zero = float(next(line["x1"] for line in page.all("line") if line.get("class") == "zero"))
    assert places[0][0] > zero > places[1][1]  # holds: all above zero; contradicted: all below
    assert places[2][0] < zero < places[2][1]


def test_hostile_captions_are_shown_and_not_run(rendered):
    _, page = rendered()
    assert len(page.all("script")) == 1
    assert "Somebody <b>else</b>" in page.text["tables"]
    assert "<script>alert(1)</script> a \U0001f436" in page.text["figures"]
    said = [attrs for attrs in page.all("dd") if attrs.get("dir") == "auto"]
    assert len(said) == 9  # three videos: two variants and a reference each


def test_samples_show_the_frames_of_their_video(rendered):
    frames = [i["src"] for i in rendered()[1].all("img") if i.get("alt", "").startswith("frame")]
    assert len(frames) == 12
    assert frames[4] == pages_picture(1, 0)


def pages_picture(video: int, frame: int) -> str:
    from retake.report.figures_captions import picture

    return picture(pages.video(video)[frame])


def test_a_mini_run_says_that_it_is_never_compared(rendered):
    assert "it is never compared with the papers" in " ".join(rendered()[1].text[""].split())


def test_a_paper_run_does_not_say_so(rendered):
    text = " ".join(rendered(scale="paper")[1].text[""].split())
    assert "never compared" not in text


def test_seeds_of_one_training_share_a_panel_and_the_rate_is_left_out(rendered):
    _, page = rendered()
    assert "seeds 1, 2, 3" in page.text["curves"]
    lines = [p["class"] for p in page.all("polyline")]
    assert lines == ["s0"] * 3 + ["s1"] * 3 + ["s0"] * 3  # train and val loss, then CIDEr
    assert "CIDEr" in page.text["curves"]
    assert "lr0" not in page.text["curves"]


def test_head_names_commit_and_date_from_the_records(rendered):
    text = rendered()[1].text[""]
    assert "abcdef012345" in text
    assert "2026-11-21 10:00" in text


def test_costs_are_grouped_by_rule_dearest_first(rendered):
    _, page = rendered()
    said = page.text["costs"]
    places = [said.index(rule) for rule in ("train_stage", "score", "extract_frames")]
    assert places == sorted(places)
    assert "37.5 s" in said  # three trainings of 12.5
    assert "6.4 s" in said  # 3.1 and 3.3
    assert "4.12 s" in said or "4.1 s" in said  # 0.97 of 4.25 is processor time
    assert "1.2 GB" in said
    assert len([t for t in page.all("table") if "sortable" in t.get("class", "")]) == 2


def test_failures_name_the_video_and_the_reason(rendered):
    said = rendered()[1].text["failures"]
    assert "bad<1>" in said
    assert "no frame could be decoded" in said
    assert "msrvtt view view: every video was read." in " ".join(said.split())


def test_provenance_has_config_versions_and_digests(rendered):
    said = rendered()[1].text["provenance"]
    for piece in ("scale: mini", "2.15.0", "feedfacefeed"):
        assert piece in said


def test_absent_inputs_are_said_not_crashed_on(rendered, tmp_path):
    nothing = tmp_path / "nothing"
    none = {"tables": [], "figures": [], "claims": nothing, "metrics": [], "records": []}
    _, page = rendered(**none, results=nothing, methods=[], provenance={})
    for section, said in {
        "tables": "No table was made", "claims": "No claim was judged", "figures": "No figure was made",
        "curves": "No training left a curve", "costs": "No job's cost", "failures": "No release was decoded",
        "provenance": "No score was measured",
    }.items():  # fmt: skip
        assert said in page.text[section]


def test_a_page_over_the_limit_is_an_error_that_names_the_biggest_parts(rendered, monkeypatch, tmp_path):
    monkeypatch.setattr(page_module, "LIMIT_BYTES", 30_000)
    with pytest.raises(PageTooLarge, match=r"more than 0\.03 MB; its biggest parts: figure demo/figure_3 "):
        rendered()
    assert not (tmp_path / "index.html").exists()


def test_the_limit_is_twenty_megabytes():
    assert page_module.LIMIT_BYTES == 20_000_000


def test_a_table_of_another_make_is_refused(rendered, tmp_path):
    other = pages.put(tmp_path / "x.csv", "a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"x\.csv: columns row, .* are missing"):
        rendered(tables=[other])


def test_thinning_keeps_the_spike():
    curve = [(k, 1.0) for k in range(5000)]
    curve[1234] = (1234, 99.0)
    assert (1234, 99.0) in thinned(curve)
    assert len(thinned(curve)) <= POINTS


def test_ticks_are_round_and_enclose_the_values():
    assert ticks(0.0, 10.0) == [0, 5, 10]
    assert ticks(1.3, 4.1) == [1, 2, 3, 4, 5]
    assert ticks(2.0, 2.0)[0] <= 2.0 < ticks(2.0, 2.0)[-1]
