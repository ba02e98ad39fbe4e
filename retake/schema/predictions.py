"""The table that every method answers in: item_id and the columns of its task."""

import pandas as pd

from retake.schema.tasks import TASKS


def checked(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return `table` sorted by item_id, with its task's columns first; further columns stay.

    Raises ValueError on a missing column, a null, or (where an item has one answer) an item that stands twice.
    """
    columns = ["item_id", *TASKS[task].columns]
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"predictions of task {task!r} miss columns {missing}")
    for name in columns:
        if table[name].isna().any():
            item = table.loc[table[name].isna(), "item_id"].iloc[0]
            raise ValueError(f"prediction of item {item!r} has no {name}")
    one_answer = task not in ("retrieve", "detect", "compress")
    if one_answer and table["item_id"].duplicated().any():
        item = table.loc[table["item_id"].duplicated(), "item_id"].iloc[0]
        raise ValueError(f"item {item!r} is answered twice")
    rest = sorted(set(table) - set(columns))
    table = table[columns + rest].astype({"item_id": "string"})
    return table.sort_values("item_id", kind="stable").reset_index(drop=True)
