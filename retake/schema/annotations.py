"""The one table that every data set is turned into: a row is one reference answer.

item_id   what a model answers for, and what a prediction joins on; many rows may share it
          (a video with twenty captions is one item with twenty rows)
ref_id    unique in the table
start_s, end_s   seconds from the start of the video; a null end_s means to the end of the video;
          an image is a video of one frame, 0.0 to 0.0
"""

import pandas as pd

COLUMNS = {
    "dataset": "string",
    "split": "string",  # any name of the card
    "item_id": "string",
    "ref_id": "string",
    "video_id": "string",
    "start_s": "float64",
    "end_s": "float64",
    "text_in": "string",  # question or prompt
    "text_out": "string",  # caption or answer; null where the reference is not known
    "options": "object",  # list of strings, for multiple choice
    "labels": "object",  # list of class indices
    "box_xyxy": "object",  # four floats in [0, 1]: left, top, right, bottom
    "value": "float64",  # regression target, in the unit the data set's card names
    "origin": "string",  # "release", or the labeller that wrote a pseudolabel
    "task": "string",
    "label_set": "string",
    "track_id": "string",
    "shot_id": "string",
    "weight": "float64",
}
REQUIRED = ("dataset", "split", "item_id", "ref_id", "video_id", "start_s", "origin")


def checked(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with exactly COLUMNS, in order and typed; columns that are absent become null.

    Raises ValueError that says which rule is broken, by how many rows, and names the first.
    """
    if unknown := set(table) - set(COLUMNS):
        raise ValueError(f"unknown annotation columns {sorted(unknown)}; the schema has {list(COLUMNS)}")
    if missing := [name for name in REQUIRED if name not in table]:
        raise ValueError(f"annotation columns {missing} are missing")
    table = table.reindex(columns=list(COLUMNS)).astype(COLUMNS).reset_index(drop=True)
    image = (table["start_s"] == 0) & (table["end_s"] == 0)
    broken = {
        **{f"{name} is null": table[name].isna() for name in REQUIRED},
        "ref_id is not unique": table["ref_id"].duplicated(),
        "start_s is negative": table["start_s"] < 0,
        "end_s is not after start_s": ~((table["end_s"] > table["start_s"]) | table["end_s"].isna() | image),
    }
    for rule, rows in broken.items():
        if rows.any():
            raise ValueError(f"{rule}: {int(rows.sum())} rows, first {table.loc[rows, 'ref_id'].iloc[0]!r}")
    split_of = table.groupby("item_id")["split"].nunique()
    if (split_of > 1).any():
        raise ValueError(f"item {split_of.index[split_of > 1][0]!r} stands in more than one split")
    return table
