"""The reader of rules and imports that the other architecture tests trust."""

from tests.architecture.tree import files, imports, rules, rules_in

SOURCE = """
rule make_tea:
    input:
        unpack(of),  # a comment: with a colon
    output:
        tea="cups/{cup}.txt",
    log:
        "logs/{cup}.log",
    shell:
        "pour: {output.tea}"


use rule make_tea as make_coffee with:
    output:
        tea="mugs/{cup}.txt",


rule drinks:
    input:
        "cups/a.txt",


onsuccess:
    shell("true")
"""


def test_rules_are_read_with_their_directives():
    tea, coffee, drinks = rules_in(SOURCE)
    assert [tea.name, coffee.name, drinks.name] == ["make_tea", "make_coffee", "drinks"]
    assert list(tea.directives) == ["input", "output", "log", "shell"]
    assert coffee.base == "make_tea"
    assert tea.works
    assert coffee.works
    assert not drinks.works
    assert "true" not in "".join(drinks.directives.values())


def test_imports_are_found_wherever_they_stand():
    source = "import a.b\nfrom retake import job\ndef f():\n    from retake.data.video import read\n"
    assert imports(source) == ["a.b", "retake.job", "retake.data.video"]


def test_the_project_is_seen():
    assert len(files(".py")) > 20
    assert len(rules()) > 10
