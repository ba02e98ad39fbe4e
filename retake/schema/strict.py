"""Records in which a misspelt key is an error, and errors that name the file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer

Model = TypeVar("Model", bound="Strict")


class SettingError(ValueError):
    """A setting that cannot be used: one line that names file, key and what was expected."""


class Strict(BaseModel):
    """A record in which a misspelt key is an error, never a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Grown(Strict):
    """A record that got keys after others had been made of it.

    Where such a key says nothing, it is left out of what is dumped: digests of what was said before it came stay, and
    nothing is trained or made anew.
    """

    LATER: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, dump: Any) -> dict[str, Any]:
        fields = type(self).model_fields
        silent = {name for name in self.LATER if getattr(self, name) == fields[name].default}
        return {name: value for name, value in dump(self).items() if name not in silent}


def did_you_mean(name: str, known: Any) -> str:
    """ "; did you mean 'x'?" when a known name is close, else the list of what there is."""
    known = sorted(str(k) for k in known)
    close = get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"have {', '.join(known) or 'none'}"


def _said(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of a record as `key: what was expected`."""
    first = min(
        error.errors(), key=lambda e: e["type"] != "extra_forbidden"
    )  # a typo explains what is missing
    key, fields = _place(model, first["loc"])
    if first["type"] == "extra_forbidden":
        return (
            f"{key}: unknown key; {did_you_mean(str(first['loc'][-1]), _place(model, first['loc'][:-1])[1])}"
        )
    if first["type"] == "missing":
        return f"{key}: missing; expected a value here"
    if first["type"] in ("model_type", "model_attributes_type"):
        return f"{key}: expected a mapping with {', '.join(fields)}, not {first['input']!r}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = first["input"].get("kind") if isinstance(first["input"], dict) else first["input"]
        known = did_you_mean(str(given), _kinds_at(model, first["loc"]))
        return f"{key}.kind: " + ("missing; " if given is None else f"no kind {given!r}; ") + known
    given = "" if first["type"] == "value_error" else f", not {first['input']!r}"
    return f"{key}: {first['msg'].removeprefix('Value error, ')}{given}"


def _members(kind: Any) -> list[Any]:
    """What an annotation is made of: a union's members without None, else what stands in its brackets."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    return _members(parts[0]) if get_origin(kind) is Annotated else parts


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds_of(member: Any) -> tuple[str, ...]:
    """The values of a record's `kind`, by which a union tells its members apart."""
    return get_args(member.model_fields["kind"].annotation) if "kind" in member.model_fields else ()


def _reached(model: Any, loc: tuple) -> tuple[Any, list[str]]:
    """(the annotation at a place of a record, the place as the file spells it).

    Where one of several records may stand, pydantic's place also names the kind that was found: no key of the file.
    """
    spelt: list[str] = []
    for part in loc:
        if _is_record(model):
            field = model.model_fields.get(part)
            model = Any if field is None else field.annotation
            spelt.append(str(part))
            continue
        members = _members(model)
        of_kind = [m for m in members if _is_record(m) and part in _kinds_of(m)]
        model = of_kind[0] if of_kind else members[-1] if members else Any
        spelt += [] if of_kind else [str(part)]
    return model, spelt


def _place(model: type[BaseModel], loc: tuple) -> tuple[str, list[str]]:
    """(the key at `loc` with dots, names of the fields of the record that belongs there, as far as known)."""
    kind, spelt = _reached(model, loc)
    while not _is_record(kind) and (members := _members(kind)):
        if len([m for m in members if _is_record(m)]) > 1:
            return ".".join(spelt), ["kind"]  # which says what else
        kind = members[-1]
    return ".".join(spelt) or "(whole file)", list(kind.model_fields) if _is_record(kind) else []


def _kinds_at(model: type[BaseModel], loc: tuple) -> list[str]:
    return [kind for member in _members(_reached(model, loc)[0]) for kind in _kinds_of(member)]


def checked_as(
    model: type[Model], values: Any, file: str | Path, context: dict[str, Any] | None = None
) -> Model:
    """`values` as `model`. Raises SettingError: `file: key: what was expected`.

    context  what the record's own checks are told
    """
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        raise SettingError(f"{file}: {_said(error, model)}") from None


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
