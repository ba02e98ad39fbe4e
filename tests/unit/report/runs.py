"""What report tests are made of: metrics files, items tables, a small reported.csv."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

REPORTED = """where,system,kind,variant,dataset,split,metric,value,unit,said_by,tolerance,note
"Table 1, row 1",Older,Q,older,msvd,test,bleu4,33.3,percent,paper,,
"Table 1, row 1",Older,Q,older,msvd,test,cider,,percent,paper,,blank in the paper
"Table 1, row 2",Mine plain,M,plain,msvd,test,bleu4,49.1,percent,paper,0.5,spread over three runs
"Table 1, row 2",Mine plain,M,plain,msvd,test,cider,83.5,percent,paper,,
"Table 1, row 3",Mine full,M,full,msvd,test,bleu4,50.0,percent,paper,0.5,spread over three runs
"Table 1, row 3",Mine full,M,full,msvd,test,cider,86.6,percent,paper,,
"Table 2, row 1",Mine full,M,full,msrvtt,test,bleu4,40.5,percent,paper,,
"""


def reported(folder: Path, text: str = REPORTED) -> Path:
    path = folder / "reported.csv"
    path.write_text(text)
    return path


def run(folder: Path, variant: str, seed: int, values: dict, table: dict | None = None, **other) -> Path:
    """A metrics file, and under `items` its `table` of items (column -> one entry an item, among them
    item_id).
    """
    fields = {"method": "demo", "variant": variant, "dataset": "msvd", "split": "test", "protocol": "beam5"}
    fields |= {"scale": "mini", "items": 89, "items_of": 90} | other
    run_of = Path(fields["method"]) / variant / fields["dataset"] / f"seed{seed}" / fields["protocol"]
    path = folder / fields["scale"] / "metrics" / run_of / "test.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(fields | {"seed": seed, "digests": {}, "record": {}, "values": values}))
    if table is not None:
        items = folder / fields["scale"] / "items" / run_of / "test.parquet"
        items.parent.mkdir(parents=True)
        pq.write_table(pa.table(table), items)
    return path
