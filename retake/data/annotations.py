"""From a release's own files to the one annotation table: parse with the data set's plug-in, check, write."""

import importlib
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.release import CARDS
from retake.schema.annotations import COLUMNS, checked
from retake.schema.card import read_card

LOG = logging.getLogger(__name__)
LISTS = {"options": pa.list_(pa.string()), "labels": pa.list_(pa.int64()), "box_xyxy": pa.list_(pa.float64())}
KINDS = {"string": pa.string(), "float64": pa.float64()}
SCHEMA = pa.schema([(name, LISTS.get(name) or KINDS[kind]) for name, kind in COLUMNS.items()])


def build_annotations(*, dataset: str, root: Path, out: Path) -> None:
    """Parse the release under `root` as `dataset` reads it and write the table: same files, same bytes.

    A data set without a parse.py is read by its release's, which is told by the card what is asked.
    Raises ValueError that names file and row, or the split that the card does not know.
    """
    card = read_card(CARDS / dataset / "card.yaml")
    own = card.release is None or (CARDS / dataset / "parse.py").is_file()
    parser = importlib.import_module(f"retake.data.datasets.{dataset if own else card.release}.parse")
    table = checked(parser.parse(Path(root), card).assign(dataset=dataset))
    if table.empty:
        raise ValueError(
            f"{root}: data set {dataset}: not one row; expected annotations as its card describes them"
        )
    if card.splits and (unknown := sorted(set(table["split"]) - set(card.splits))):
        raise ValueError(
            f"{root}: data set {dataset}: split {unknown[0]!r}; its card has {', '.join(card.splits)}"
        )
    write_table(table, Path(out))
    for split, rows in table.groupby("split"):
        LOG.info(
            "%s %s: %d items, %d rows (published: %s items)",
            dataset,
            split,
            rows["item_id"].nunique(),
            len(rows),
            card.splits.get(str(split), "unknown number of"),
        )


def write_table(table: pd.DataFrame, out: Path) -> None:
    """A checked table as parquet, without pandas' own metadata (it would carry versions)."""
    out.parent.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(arrow, out, compression="zstd")


def caption_table(dataset: str, rows: Iterable[tuple[str, str, str | None, float | None]]) -> pd.DataFrame:
    """The annotation table of a captioning data set from (split, video_id, caption, end_s), a row a caption.

    An item is a video, from its start to end_s (None: to its end); a caption is its n-th in the order given.
    """
    table = pd.DataFrame(rows, columns=["split", "video_id", "text_out", "end_s"])
    number = table.groupby("video_id").cumcount().astype(str)
    return checked(
        table.assign(
            dataset=dataset,
            item_id=table["video_id"],
            ref_id=table["video_id"] + "#" + number,
            start_s=0.0,
            origin="release",
            task="caption",
        )
    )


def not_used(dataset: str, what: str, found: Iterable[str]) -> None:
    """Say in the log how many of `what` were left out, and which came first."""
    found = list(found)
    if found:
        LOG.warning("%s: %d %s, left out; first %s", dataset, len(found), what, ", ".join(found[:5]))
