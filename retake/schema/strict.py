"""Records in which a misspelt key is an error, and errors that name the file."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

Model = TypeVar("Model", bound="Strict")


class SettingError(ValueError):
    """A setting that cannot be used: one line that names file, key and what was expected."""


class Strict(BaseModel):
    """A record in which a misspelt key is an error, never a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def did_you_mean(name: str, known: Any) -> str:
    """ "; did you mean 'x'?" when a known name is close, else the list of what there is."""
    known = sorted(str(k) for k in known)
    close = get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"have {', '.join(known) or 'none'}"


def _first(error: ValidationError, fields: Callable[[tuple], list[str]]) -> str:
    first = min(
        error.errors(), key=lambda e: e["type"] != "extra_forbidden"
    )  # a typo explains what is missing
    where = [str(part) for part in first["loc"]]
    key = ".".join(where) or "(whole file)"
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key; {did_you_mean(where[-1], fields(first['loc'][:-1]))}"
    if first["type"] == "missing":
        return f"{key}: missing; expected a value here"
    if first["type"] == "model_type":
        return f"{key}: expected a mapping with {', '.join(fields(first['loc']))}, not {first['input']!r}"
    given = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"{key}: {first['msg'].removeprefix('Value error, ')}{given}"


def _fields_at(model: type[BaseModel], place: tuple) -> list[str]:
    """Names of the fields at `place`, as far as the annotations tell (for suggestions only)."""
    import typing

    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation  # type: ignore[assignment]
            continue
        inner = [a for a in typing.get_args(model) if a is not type(None)]
        if inner:
            model = inner[-1]
    while not (isinstance(model, type) and issubclass(model, BaseModel)):
        inner = [a for a in typing.get_args(model) if a is not type(None)]
        if not inner:
            return []
        model = inner[-1]
    return list(model.model_fields)


def checked_as(model: type[Model], values: Any, file: str | Path) -> Model:
    """`values` as `model`. Raises SettingError: `file: key: what was expected`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingError(f"{file}: {_first(error, lambda place: _fields_at(model, place))}") from None


class _UniqueLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML in which a key that stands twice is an error: the second would silently win."""


def _unique_mapping(loader: Any, node: Any) -> dict:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = [k for k in keys if keys.count(k) > 1]
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} stands twice", node.start_mark)
    return {
        k: loader.construct_object(value, deep=True) for k, (_, value) in zip(keys, node.value, strict=True)
    }


_UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_yaml(path: str | Path) -> Any:
    """The file's content. Raises SettingError with file and line where it is no YAML."""
    path = Path(path)
    try:
        loader = _UniqueLoader(path.read_text(encoding="utf-8"))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise SettingError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).replace("\n", " ").split())
        raise SettingError(f"{path}: cannot be read as YAML: {said}") from None
