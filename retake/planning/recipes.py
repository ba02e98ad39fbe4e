"""Read a method's recipe at one scale, and hold it against the code that it drives. Imports no torch."""

import ast
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from retake.schema.recipe import LAID, Recipe
from retake.schema.strict import SettingError, Strict, checked_as, did_you_mean, read_yaml

SET, SET_ON = ("model", "stages", "views", "banks"), ("model", "stages")  # by a variant, by a data set
HERE = Path(
    "retake"
)  # relative to the workflow's folder: an absolute path would make a copy rerun everything


def folders_with(kind: str, file: str) -> dict[str, Path]:
    """Every plug-in folder of `kind` that has `file`: the only registry there is."""
    return {p.parent.name: p for p in sorted((HERE / kind).glob(f"*/{file}"))}


def overlaid(base: Any, over: Any) -> Any:
    """`over` laid on `base`: mappings key by key, everything else replaced.

    What neither changes is shared with them, not copied: recipes are read, never written to.
    """
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    both = base | over
    return both | {key: overlaid(base[key], over[key]) for key in base.keys() & over.keys()}


def load_recipe(path: Path, scale: str) -> Recipe:
    """The recipe at `scale`; both scales are checked, so that a typo in either is found by any run."""
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise SettingError(f"{path}: expected a mapping with paper, task, stages, variants")
    plain = checked_as(Recipe, raw, path)
    try:
        small = checked_as(Recipe, overlaid(raw, {**raw.get("mini", {}), "mini": {}}), path)
    except SettingError as error:
        raise SettingError(str(error).replace(f"{path}: ", f"{path}: mini.", 1)) from None
    for name, recipe in (("model", plain), ("mini.model", small)):
        check_sizes(path, name, recipe)
    return small if scale == "mini" else plain


@lru_cache(maxsize=256)  # by the text: a plan asks hundreds of times, and a file that changed is read anew
def _said(read: Callable[[ast.Module, str, str], Any], text: str, file: str, name: str) -> Any:
    return read(ast.parse(text, file), file, name)


def builder_keywords(model_file: Path, function: str = "build") -> tuple[frozenset[str], frozenset[str]]:
    """(keywords of `build`, those of them that `prepare` gives), read without importing the file.

    Raises SettingError where `build` is missing or takes anything but keywords without a default.
    """
    return _said(_keywords, model_file.read_text(encoding="utf-8"), str(model_file), function)


def _keywords(tree: ast.Module, model_file: str, function: str) -> tuple[frozenset[str], frozenset[str]]:
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    if not found:
        raise SettingError(f"{model_file}: expected a function {function}(*, ...)")
    arguments = found[0].args
    if (
        arguments.args
        or arguments.posonlyargs
        or arguments.kwarg
        or any(d is not None for d in arguments.kw_defaults)
    ):
        raise SettingError(f"{model_file}: {function} takes keywords only, each named and without a default")
    prepared: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "PREPARED" for t in node.targets):
            prepared = set(ast.literal_eval(node.value))
    return frozenset(a.arg for a in arguments.kwonlyargs), frozenset(prepared)


def literal_of(file: Path, name: str) -> Any:
    """The value of a module's constant, read without importing it; shared, so not to be written to."""
    return _said(_literal, file.read_text(encoding="utf-8"), str(file), name)


def _literal(tree: ast.Module, file: str, name: str) -> Any:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == name for t in node.targets):
            return ast.literal_eval(node.value)
    raise SettingError(f"{file}: expected a constant {name}")


def fields_of(file: Path, name: str) -> frozenset[str]:
    """Names of a dataclass's fields that have a plain default, read without importing the file."""
    return _said(_fields, file.read_text(encoding="utf-8"), str(file), name)


def _fields(tree: ast.Module, file: str, name: str) -> frozenset[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields = [
                n for n in node.body if isinstance(n, ast.AnnAssign) and not isinstance(n.value, ast.Call)
            ]
            return frozenset(n.target.id for n in fields if isinstance(n.target, ast.Name))
    raise SettingError(f"{file}: expected a class {name}")


def check_sizes(path: Path, key: str, recipe: Recipe) -> None:
    """Every size that the builder asks for, and no other, also where stages and variants change some."""
    keywords, prepared = builder_keywords(path.parent / "model.py")
    sizes = keywords - prepared
    if missing := sizes - recipe.model.keys() - recipe.card_sizes.keys():
        raise SettingError(f"{path}: {key}: size {sorted(missing)[0]!r} is missing, which build() asks for")
    if twice := recipe.model.keys() & recipe.card_sizes.keys():
        raise SettingError(f"{path}: {key}.{sorted(twice)[0]}: stands in card_sizes, too")
    places = {key: recipe.model}
    places |= {f"stages.{name}.model": stage.model for name, stage in recipe.stages.items()}
    places |= {f"variants.{name}.set.model": v.set.get("model") for name, v in recipe.variants.items()}
    places |= {f"per_dataset.{name}.model": v.get("model") for name, v in recipe.per_dataset.items()}
    places |= {"card_sizes": recipe.card_sizes}
    for place, values in places.items():
        for name in values if isinstance(values, dict) else ():  # else it is refused where it is laid over
            if name not in sizes:
                raise SettingError(
                    f"{path}: {place}.{name}: build() takes no such size; {did_you_mean(name, sizes)}"
                )


def _opened(part: Any, over: Any) -> Any:
    """A part of a recipe with those of its records dumped that `over` changes."""
    if not isinstance(part, dict) or not isinstance(over, dict):
        return part
    return {
        name: record.model_dump() if name in over and isinstance(record, Strict) else record
        for name, record in part.items()
    }


def variant_of(recipe: Recipe, name: str, path: Path, on: tuple[str, ...] = ()) -> Recipe:
    """The recipe as variant `name` sees it: its own and its bases' `set` laid over it, its stages filled in.

    on  data sets and releases whose `per_dataset` is laid over it before, the last one uppermost
    """
    chain = [recipe.variants[name]]
    while chain[-1].base is not None:
        chain.append(recipe.variants[chain[-1].base])
    laid = [
        (f"per_dataset.{one}", recipe.per_dataset[one], SET_ON) for one in on if one in recipe.per_dataset
    ]
    laid += [(f"variants.{name}.set", variant.set, SET) for variant in reversed(chain) if variant.set]
    if not laid:
        return recipe
    raw = {name: getattr(recipe, name) for name in Recipe.model_fields}
    for where, values, known in laid:
        if unknown := values.keys() - set(known):
            raise SettingError(
                f"{path}: {where}: {sorted(unknown)[0]!r} cannot be set; have {', '.join(known)}"
            )
        for part in values.keys() & raw.keys():  # the rest was checked with the recipe, and stays as it is
            raw[part] = overlaid(_opened(raw[part], values[part]), values[part])
    where = laid[-1][0]
    resolved = checked_as(Recipe, raw, f"{path}: {where}", LAID)
    check_sizes(path, f"{where}.model", resolved)
    return resolved


def stages_of(recipe: Recipe, name: str) -> list[str]:
    """Names of the variant's stages in order, from the first of its bases that lists any."""
    variant = recipe.variants[name]
    while not variant.stages and variant.base is not None:
        variant = recipe.variants[variant.base]
    return list(variant.stages)
