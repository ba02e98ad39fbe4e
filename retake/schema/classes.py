"""What classes are called, as the annotation table says it."""

from collections.abc import Iterable, Mapping
from typing import Any

BETWEEN = "; "  # between the names in `text_out` of a row with several labels, which stand in their order


def class_names(rows: Iterable[Mapping[str, Any]], num_classes: int) -> list[str]:
    """The name of each class, as rows with `labels` say it in `text_out`; one that no row names is its number.

    Raises ValueError where two rows call a class differently.
    """
    names: dict[int, str] = {}
    for row in rows:
        labels, text = list(row["labels"] or ()), row["text_out"]
        said = [text] if len(labels) == 1 else (text or "").split(BETWEEN)
        if text is None or len(said) != len(labels):
            continue
        for label, name in zip(labels, said, strict=True):
            if names.setdefault(label, name) != name:
                raise ValueError(f"class {label} is called {names[label]!r} and {name!r}")
    return [names.get(label, str(label)) for label in range(num_classes)]
