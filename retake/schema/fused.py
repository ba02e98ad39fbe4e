"""Of what a fused variant is made: predictions of other variants, also of other data sets of the release and seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import NonNegativeInt

from retake.schema.strict import Strict

OWN = ":"  # a combiner of a method: module:function


class Part(Strict):
    """One variant's predictions: of the run's own data set and seed unless it says otherwise."""

    variant: str
    dataset: str | None = None  # another reading of the same release, with the same items
    seed_offset: NonNegativeInt = 0  # added to the run's seed
    weight: float = 1.0


def joined(fuse: Mapping[str, float], parts: list[Part]) -> list[Part]:
    """All parts in order; none where the variant is trained."""
    return [*(Part(variant=name, weight=weight) for name, weight in fuse.items()), *parts]


def check_fused(where: str, variants: Mapping[str, Any], name: str) -> None:
    """Raises ValueError, begun by `where`, where a variant's parts cannot be joined, or it stands on itself."""
    variant = variants[name]
    parts: list[Part] = variant.joined
    if bool(variant.stages or variant.base) == bool(parts) or (variant.fuse and variant.parts):
        raise ValueError(f"{where}: expected either stages (or a base) to train, or others to fuse, or parts")
    if any(part.dataset is not None for part in parts) and OWN not in variant.combiner:
        raise ValueError(
            f"{where}: combiner {variant.combiner!r} joins scores of the same classes; parts of other data sets take "
            "a method's own, module:function"
        )
    places = [(part.variant, part.dataset, part.seed_offset) for part in parts]
    if twice := [place[0] for place in places if places.count(place) > 1]:
        raise ValueError(f"{where}: part {twice[0]!r} stands twice; expected another data set or seed_offset")
    for what, below in (("bases", _base), ("parts", _parts)):
        inside, todo = set(), below(variant)
        while todo:
            one = todo.pop()
            if one == name:
                raise ValueError(f"{where}: its {what} go in a circle")
            if one in variants and one not in inside:
                inside.add(one)
                todo += below(variants[one])


def _base(variant: Any) -> list[str]:
    return [] if variant.base is None else [variant.base]


def _parts(variant: Any) -> list[str]:
    return [part.variant for part in variant.joined]


@dataclass(frozen=True)
class Classes:
    """What a data set's annotation table says of its classes; those without a row have no name there."""

    path: str  # of the table, for errors
    names: dict[int, str]  # label -> name
    counts: dict[int, int]  # label -> rows of split train


@dataclass(frozen=True)
class Context:
    """What a method's own combiner is told: the classes of the data set that is asked, and of each part's."""

    asked: Classes
    parts: list[Classes]
