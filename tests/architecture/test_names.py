"""One word per stage, rules named like their scripts, closed wildcards, no method named in shared code."""

import re
from pathlib import Path

from tests.architecture.tree import files, rules, text

VERBS = set(
    "build caption collect cut detect download draw extract fetch filter fuse index judge make measure merge predict "
    "pretrain read render score tabulate train transcode write".split()
)
STAGES = set(
    "releases annotations media weights detections features pseudolabels training predictions metrics tables figures "
    "claims report all headline captions".split()
)
SHARED = ("retake", "rules", "scripts", "tools")
PLUGINS = ("retake/methods", "retake/data/datasets", "retake/weights")


def unknown_names(works: list[str], collects: list[str]) -> list[str]:
    """Rule names that are not `verb_noun` (or a lone verb), or not a stage's noun."""
    bad = [n for n in works if not re.fullmatch(r"[a-z]+(_[a-z]+)*", n) or n.split("_")[0] not in VERBS]
    return bad + [n for n in collects if n not in STAGES]


def wildcards_of(path: str) -> set[str]:
    return set(re.findall(r"(?<!\{)\{(\w+)\}", path))


def constrained(source: str) -> set[str]:
    """The wildcards that common.smk's `wildcard_constraints:` closes."""
    block = re.search(r"^wildcard_constraints:\n((?: {4}.*\n|\n)+)", source, re.M)
    return set(re.findall(r"^ {4}(\w+)=", block[1], re.M)) if block else set()


def plugins(kind: str) -> list[str]:
    """The plug-in folders of one kind."""
    return sorted(
        {f.parts[len(Path(kind).parts)] for f in files() if f.is_relative_to(kind)} - {"__init__.py"}
    )


def mentions(source: str, names: list[str]) -> list[str]:
    """Names that stand in a source as a word; `lfb_bank` mentions `lfb` too."""
    return [n for n in names if re.search(rf"(?<![A-Za-z0-9]){re.escape(n)}(?![A-Za-z0-9])", source)]


def test_rules_are_named_by_what_they_do():
    assert unknown_names([r.name for r in rules() if r.works], [r.name for r in rules() if not r.works]) == []


def test_each_working_rule_has_its_script_and_each_script_its_rule():
    called = {r.name for r in rules() if r.works and r.base is None}
    have = {f.stem for f in files(".py") if f.parts[0] == "scripts"}
    assert called == have


def test_a_rule_lies_in_the_file_of_its_stage():
    for rule in (r for r in rules() if r.works):
        stage = Path(rule.file).stem
        assert stage in STAGES, f"{rule.file} is no stage"


def test_every_wildcard_of_an_output_is_constrained():
    closed = constrained(text(Path("rules/common.smk")))
    assert closed, "common.smk constrains no wildcard"
    for rule in rules():
        assert wildcards_of(rule.directives.get("output", "")) <= closed, rule.name


def test_log_and_costs_mirror_the_outputs_wildcards():
    for rule in (r for r in rules() if r.works and r.base is None):
        made = wildcards_of(rule.directives["output"])
        for kind, folder in (("log", "logs"), ("benchmark", "costs")):
            path = rule.directives[kind]
            assert wildcards_of(path) == made, f"{rule.name}: {kind}"
            assert f"<results>/{folder}/{rule.name}" in path, f"{rule.name}: {kind}"


def test_no_method_is_named_in_shared_code():
    methods = plugins("retake/methods")
    shared = [
        f
        for f in files(".py", ".smk", "Snakefile")
        if (f.parts[0] in SHARED or f.name == "Snakefile") and not any(f.is_relative_to(p) for p in PLUGINS)
    ]
    assert len(shared) > 30
    found = {str(f): named for f in shared if (named := mentions(text(f), methods))}
    assert found == {}


def test_plugin_folders_have_names_that_can_be_wildcards():
    for kind in PLUGINS:
        for name in plugins(kind):
            assert re.fullmatch(r"[a-z][a-z0-9_]*", name), f"{kind}/{name}"


def test_bad_names_are_found():
    assert unknown_names(["training_model", "train_stage", "score"], ["stuff", "tables"]) == [
        "training_model",
        "stuff",
    ]
    assert wildcards_of("<results>/{a}/{b}.csv") == {"a", "b"}
    assert constrained(
        'wildcard_constraints:\n    a="x",\n    b=one_of(\n        y\n    ),\n\n\nX = 1\n'
    ) == {"a", "b"}
    assert constrained("rule a:\n    input:\n") == set()
    assert mentions('if method == "lfb":', ["lfb"]) == ["lfb"]
    assert mentions("use_lfb_bank = 1", ["lfb"]) == ["lfb"]
    assert mentions("alfbc", ["lfb"]) == []
