"""From a release's own files to the one annotation table: parse with the data set's plug-in, check, write."""

import importlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.release import CARDS
from retake.data.rows import in_two
from retake.schema.annotations import COLUMNS, checked
from retake.schema.card import read_card

LOG = logging.getLogger(__name__)
LISTS = {"options": pa.list_(pa.string()), "labels": pa.list_(pa.int64()), "box_xyxy": pa.list_(pa.float64())}
KINDS = {"string": pa.string(), "float64": pa.float64()}
AT_ONCE = 4096  # rows of a table that is one of several
NAMED = 5  # names of what was left out that the log has
SCHEMA = pa.schema([(name, LISTS.get(name) or KINDS[kind]) for name, kind in COLUMNS.items()])


def build_annotations(*, dataset: str, root: Path, out: Path) -> None:
    """Parse the release under `root` as `dataset` reads it and write the table: same files, same bytes.

    A data set without a parse.py is read by its release's, which is told by the card what is asked. A parser gives
    one table, or one after the other, each with all rows of its items: then no more than one is in memory.
    Raises ValueError that names file and row, or the split that the card does not know.
    """
    card = read_card(CARDS / dataset / "card.yaml")
    own = card.release is None or (CARDS / dataset / "parse.py").is_file()
    parser = importlib.import_module(f"retake.data.datasets.{dataset if own else card.release}.parse")
    found = parser.parse(Path(root), card)
    items: Counter[str] = Counter()
    rows: Counter[str] = Counter()

    def parts() -> Iterator[pd.DataFrame]:
        for part in [found] if isinstance(found, pd.DataFrame) else found:
            table = checked(part.assign(dataset=dataset))
            for split, of_split in table.groupby("split"):
                if card.splits and split not in card.splits:
                    raise ValueError(
                        f"{root}: data set {dataset}: split {split!r}; its card has {', '.join(card.splits)}"
                    )
                items[str(split)] += of_split["item_id"].nunique()
                rows[str(split)] += len(of_split)
            yield table

    write_tables(parts(), Path(out), f"{root}: data set {dataset}")
    if not rows:
        raise ValueError(
            f"{root}: data set {dataset}: not one row; expected annotations as its card describes them"
        )
    for split in sorted(rows):
        published = card.splits.get(split, "unknown number of")
        LOG.info(
            "%s %s: %d items, %d rows (published: %s items)",
            dataset,
            split,
            items[split],
            rows[split],
            published,
        )


def write_table(table: pd.DataFrame, out: Path) -> None:
    """A checked table as parquet, without pandas' own metadata (it would carry versions)."""
    write_tables([table], out, str(out))


def write_tables(tables: Iterable[pd.DataFrame], out: Path, where: str) -> None:
    """Checked tables, one after the other, as one parquet file; of those written the names of the items are kept.

    Raises ValueError that begins with `where` on an item that stands in two of them.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    names: list[pa.Array] = []
    part = out.with_name(f".{out.name}.part")
    try:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
            for table in tables:
                arrow = pa.Table.from_pandas(table, schema=SCHEMA, preserve_index=False)
                writer.write_table(arrow.replace_schema_metadata(None))
                names.append(arrow["item_id"].unique())
        if (doubled := in_two(names)) is not None:
            raise ValueError(f"{where}: item {doubled[1]!r} stands in two parts of the table")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


class LeftOut:
    """Names that are counted; the first ones are kept, to be said."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, name: str, times: int = 1) -> None:
        self.count += times
        self.first += [name] * min(times, NAMED - len(self.first))

    def tell(self, dataset: str, what: str) -> None:
        """Say in the log how many of `what` were left out, and which came first."""
        if self.count:
            LOG.warning("%s: %d %s, left out; first %s", dataset, self.count, what, ", ".join(self.first))


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


def caption_tables(
    dataset: str, rows: Iterable[tuple[str, str, str | None, float | None]]
) -> Iterator[pd.DataFrame]:
    """As `caption_table`, of AT_ONCE rows or little more each: a video's rows, which follow each other, are in one."""
    part: list[tuple[str, str, str | None, float | None]] = []
    for row in rows:
        if len(part) >= AT_ONCE and row[1] != part[-1][1]:
            yield caption_table(dataset, part)
            part = []
        part.append(row)
    if part:
        yield caption_table(dataset, part)


def not_used(dataset: str, what: str, found: Iterable[str]) -> None:
    """Say in the log how many of `what` were left out, and which came first."""
    left = LeftOut()
    for name in found:
        left.add(name)
    left.tell(dataset, what)
