"""What a plan is asked time and again is worked out once, and again where what it depends on differs."""

import ast
import inspect
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from retake.plan import Plan
from retake.planning import fused
from retake.planning.functions import described, inputs_and_recipe
from retake.planning.once import once
from retake.planning.recipes import SET, fields_of, folders_with, literal_of, load_recipe, variant_of
from retake.schema.card import read_card
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError, checked_as


class Asked:
    def __init__(self):
        self.calls = []

    @once
    def answer(self, one, two=2):
        self.calls.append((one, two))
        if one == "bad":
            raise SettingError("bad")
        return [one, two]

    @once
    def other(self, one):
        return {one}


def test_an_answer_is_found_once_for_its_arguments_and_its_object():
    first, second = Asked(), Asked()
    assert first.answer("a") is first.answer("a")
    assert first.answer("a", two=3) == ["a", 3] == first.answer("a", two=3)
    assert first.answer("a", 3) == ["a", 3]
    assert first.other("a") == {"a"}
    assert first.calls == [("a", 2), ("a", 3), ("a", 3)]
    assert second.calls == []
    assert second.answer("a") is not first.answer("a")


def test_what_was_raised_is_raised_again():
    asked = Asked()
    for _ in range(2):
        with pytest.raises(SettingError):
            asked.answer("bad")
    assert asked.calls == [("bad", 2)] * 2


def test_a_job_is_worked_out_once_for_its_inputs_and_its_recipe():
    calls = []

    def job(wildcards):
        calls.append(dict(wildcards))
        return {"inputs": {"of": wildcards["seed"]}, "recipe": {"z": "ä", "a": wildcards["seed"]}}

    inputs, recipe = inputs_and_recipe(job)
    assert inputs({"seed": "1"}) == {"of": "1"}
    assert recipe({"seed": "1"}) == '{"a": "1", "z": "ä"}'
    assert calls == [{"seed": "1"}]
    assert json.loads(recipe({"seed": "2"}))["a"] == "2"  # of a job whose inputs were not asked for
    assert json.loads(recipe({"seed": "1"}))["a"] == "1"


def test_inputs_asked_for_again_are_those_of_now_and_so_is_the_recipe():
    now = {"value": 1}
    inputs, recipe = inputs_and_recipe(lambda wildcards: {"inputs": {}, "recipe": dict(now)})
    inputs({})
    now["value"] = 2
    inputs({})
    assert recipe({}) == '{"value": 2}'


def test_a_described_function_has_its_signature_beside_it():
    @described
    def function(wildcards, output, threads):
        pass

    assert inspect.signature(function) is inspect.signature(function)
    assert list(inspect.signature(function).parameters) == ["wildcards", "output", "threads"]
    assert all(f.__signature__ is inspect.signature(f) for f in inputs_and_recipe(dict))


def test_a_constant_of_a_file_that_changed_is_read_anew(tmp_path):
    file = tmp_path / "model.py"
    file.write_text("SIZES = (1,)\n\nclass World:\n    seed: int = 1\n")
    assert (literal_of(file, "SIZES"), fields_of(file, "World")) == ((1,), {"seed"})
    file.write_text("SIZES = (2,)\n\nclass World:\n    seed: int = 1\n    size: int = 2\n")
    assert (literal_of(file, "SIZES"), fields_of(file, "World")) == ((2,), {"seed", "size"})
    file.write_text("")
    for read, name in ((literal_of, "SIZES"), (fields_of, "World")):
        with pytest.raises(SettingError, match=f"{file}: expected a c"):
            read(file, name)


def test_no_source_is_parsed_more_often_than_it_is_asked_for_different_things(monkeypatch):
    """Of the checkout's own config, whose jobs ask the same of the same files hundreds of times."""
    parsed, parse = Counter(), ast.parse

    def counted(source, filename="<unknown>", *given, **named):
        parsed[filename] += 1
        return parse(source, filename, *given, **named)

    monkeypatch.setattr(ast, "parse", counted)
    cards = Counter()
    monkeypatch.setattr(fused, "read_card", lambda file: cards.update([file]) or read_card(file))
    Plan(yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))).check_all()
    assert {file: times for file, times in parsed.items() if times > 3} == {}
    assert max(cards.values()) == 1


# --- a recipe that a variant is laid over ----------------------------------------------------------------------


def test_what_is_laid_over_a_recipe_stands_where_all_of_it_is_asked_again():
    """Names of variants, tables and costs are left out there; none of ours, on any data set, would have failed."""
    methods, on = folders_with("methods", "recipe.yaml"), folders_with("data/datasets", "card.yaml")
    for method, path in methods.items():
        for scale in ("mini", "paper"):
            recipe = load_recipe(path, scale)
            for name in recipe.variants:
                for dataset in [None, *(d for d in recipe.per_dataset if d in on)]:
                    laid = variant_of(recipe, name, path, () if dataset is None else (dataset,))
                    raw = {field: getattr(laid, field) for field in Recipe.model_fields}
                    assert checked_as(Recipe, raw, path) == laid, (method, scale, name, dataset)


@pytest.mark.parametrize("part", SET)
def test_a_variant_takes_no_part_of_a_recipe_away(project, part):
    project.recipe["variants"]["wide"]["set"] = {part: None}
    with pytest.raises(SettingError, match=rf"variants\.wide\.set: {part}"):
        project.plan()


def test_rows_are_asked_for_with_the_recipe_and_not_with_each_of_its_variants(project, monkeypatch):
    asked = Counter()
    check = Recipe._check_row
    monkeypatch.setattr(
        Recipe, "_check_row", lambda self, where, row: asked.update([where]) or check(self, where, row)
    )
    project.plan()
    # two rows and one, of the recipe as it is at either scale
    assert asked == {"tables.table_1": 4, "tables.table_2": 2}


def test_a_row_that_names_nothing_is_refused_where_variants_change_the_recipe(project):
    project.recipe["tables"]["table_2"]["rows"][0]["variant"] = "wyde"
    with pytest.raises(SettingError, match="no variant 'wyde'; did you mean 'wide'"):
        project.plan()
