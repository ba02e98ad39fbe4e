# ruff: noqa: E501 (rows of tables are easier to compare on one line)
"""A results folder as a run leaves it, small and invented, for the tests of page and figures."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HOSTILE = '<script>alert(1)</script> a \U0001f436 & "dog" יושב על \x0b a mat'
CELL = {
    "row": "1", "system": "", "kind": "M", "variant": "", "dataset": "msvd", "split": "test", "protocol": "",
    "metric": "cider", "unit": "percent", "paper": "", "ours": "", "standard_error": "", "seeds": "0", "items": "",
    "items_of": "", "verdict": "not run", "scale": "mini", "where": "", "note": "",
}  # fmt: skip
CLAIM = {
    "method": "demo", "id": "", "where": "Section 4", "statement": "", "metric": "cider", "a": "step2", "b": "step1",
    "dataset": "msvd", "split": "test", "protocol": "beam5", "direction": "higher", "size": "3.1", "unit": "percent",
    "difference": "", "low": "", "high": "", "seeds": "3", "items": "90", "verdict": "not run", "scale": "mini", "note": "",
}  # fmt: skip
SPEC: dict[str, Any] = {
    "kind": "captions", "title": "What two variants say", "variants": ["step1", "step2"], "datasets": ["msvd", "msrvtt"],
    "protocol": "beam5", "split": "test", "seed": 1,
    "pick": [
        {"dataset": "msrvtt", "rule": "largest_gain"},
        {"dataset": "msvd", "rule": "largest_gain"},
        {"dataset": "any", "rule": "largest_loss"},
    ],
}  # fmt: skip
# item -> sentence scores of step1 and step2: msvd gains most in v1, msrvtt in v0; v2 of msvd loses most of all
SCORES = {
    "msvd": {"v0": (0.5, 0.6), "v1": (0.2, 1.4), "v2": (1.0, 0.1)},
    "msrvtt": {"v0": (0.1, 0.9), "v1": (0.4, 0.3)},
}
CAPTIONS = {("msvd", "v1", "step2"): HOSTILE}


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def put_csv(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def video(number: int, frames: int = 6, height: int = 48, width: int = 64) -> np.ndarray:
    """(frames, height, width, 3) uint8: a ball that crosses a field, another colour and path a number."""
    y, x = np.mgrid[0:height, 0:width]
    shot = np.zeros((frames, height, width, 3), np.uint8)
    for k in range(frames):
        sky = np.stack([90 + 20 * number + y, 150 + y // 2, 200 - y], axis=-1).clip(0, 255)
        ball = (x - 8 - k * width / 7) ** 2 + (y - height / 2 - 6 * np.sin(k + number)) ** 2 < 64
        sky[ball] = [(230, 90, 60), (250, 210, 80), (70, 60, 160)][number % 3]
        shot[k] = sky
    return shot


def runs(root: Path) -> dict[str, Any]:
    """Everything that draw_figure reads, by the name of the input."""
    found: dict[str, Any] = {"predictions": [], "per_item": [], "annotations": [], "media": []}
    for dataset, items in SCORES.items():
        frames = root / "media" / "view" / dataset / "shard000"
        frames.mkdir(parents=True)
        np.save(frames / "frames.npy", np.concatenate([video(n) for n in range(len(items))]))
        index = [
            {"video_id": v, "start_s": 0.0, "end_s": None, "array": "shard000/frames.npy", "row": 6 * n, "num_rows": 6,
             "times_s": [0.1 * k for k in range(6)], "duration_s": 0.6, "fps": 10.0, "width": 64, "height": 48}
            for n, v in enumerate(items)
        ]  # fmt: skip
        path = frames.parent / "index.parquet"
        pd.DataFrame(index).to_parquet(path)
        found["media"].append(path)
        told = [
            {
                "item_id": v,
                "video_id": v,
                "ref_id": f"{v}#{k}",
                "start_s": 0.0,
                "text_out": f"reference {k} of {v}",
            }
            for v in items
            for k in range(2)
        ]
        path = root / "annotations" / f"{dataset}.parquet"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame(told).to_parquet(path)
        found["annotations"].append(path)
        for column, variant in enumerate(["step1", "step2"]):
            place = Path("demo") / variant / dataset / "seed1" / "beam5"
            text = [
                CAPTIONS.get((dataset, v, variant), f"{variant} says what {v} of {dataset} shows")
                for v in items
            ]
            for kind, table in {
                "predictions": pd.DataFrame({"item_id": list(items), "text": text}),
                "items": pd.DataFrame({"item_id": list(items), "cider": [s[column] for s in items.values()]}),
            }.items():
                path = root / kind / place / "test.parquet"
                path.parent.mkdir(parents=True)
                table.to_parquet(path)
                found["predictions" if kind == "predictions" else "per_item"].append(path)
    return found


def tables(root: Path) -> list[Path]:
    def line(row: int, system: str, kind: str, paper: tuple, ours: tuple, **other: str) -> list[dict]:
        measured = {
            "seeds": "3",
            "items": "90",
            "items_of": "90",
            "standard_error": "0.61",
            "verdict": "mini: not compared",
        }
        return [
            CELL | {"row": str(row), "system": system, "kind": kind, "metric": m, "paper": p, "ours": o} | other
            | (measured if o else {"verdict": "quoted" if kind == "Q" else "not run"})
            for m, p, o in zip(("bleu4", "meteor", "cider", "rouge_l"), paper, ours, strict=True)
        ]  # fmt: skip

    none = ("", "", "", "")
    cells = line(1, "Somebody <b>else</b>", "Q", ("45.3", "31.6", "", ""), none, note="no CIDEr printed")
    cells += line(2, "A third group", "Q", ("52.3", "34.1", "80.3", "69.8"), none)
    cells += line(
        3,
        "Ours, step 1",
        "M",
        ("49.1", "33.6", "83.5", "69.5"),
        ("31.24", "28.1", "64.92", "55.0"),
        protocol="beam5",
    )
    cells += line(4, "Ours, step 2", "M", ("50.0", "34.3", "86.6", "70.2"), none, protocol="beam5")
    path = put_csv(root / "tables" / "demo" / "table_1.csv", cells)
    put(path.with_suffix(".md"), "# Captions of one <data> set\n\n| a |\n")
    other = put_csv(root / "tables" / "demo" / "table_2.csv", [c for c in cells if c["kind"] == "M"])
    return [path, other]


def claims(root: Path) -> Path:
    rows = [
        {"id": "end_to_end", "statement": "Training end to end helps", "difference": "3.42", "low": "1.1", "high": "5.9", "verdict": "holds"},
        {"id": "every_metric", "statement": "It helps <i>everywhere</i>", "difference": "-2.2", "low": "-4.0", "high": "-0.5", "verdict": "contradicted"},
        {"id": "close_call", "statement": "It helps on long videos too", "difference": "0.4", "low": "-1.2", "high": "1.9", "verdict": "undecided"},
        {"id": "quoted", "statement": "Better than all others", "note": "compared at paper scale only"},
    ]  # fmt: skip
    return put_csv(root / "claims.csv", [CLAIM | row for row in rows])


def record(path: Path, seed: int, points: int = 30, rule: str = "train_stage", **job: Any) -> Path:
    wildcards = {
        "method": "demo",
        "variant": "step1",
        "dataset": "msvd",
        "seed": str(seed),
        "stage": "decoder",
    }
    lines: list[dict] = [
        {"kind": "job", "rule": rule, "wildcards": wildcards, "params": {}, "inputs": {}, "digest": "d" * 64,
         "code": "c" * 64, "commit": "abcdef0123456789", "scale": "mini", "started": "2026-11-21T10:00:00+00:00"} | job
    ]  # fmt: skip
    for k in range(points):
        loss = 4 * np.exp(-k / 9) + 0.9 + 0.08 * np.sin(3 * k + seed)
        lines.append({"kind": "metric", "name": "train/total", "value": loss, "step": k, "time": 0})
        lines.append({"kind": "metric", "name": "train/lr0", "value": 0.01, "step": k, "time": 0})
        if k % 5 == 4:
            lines.append({"kind": "metric", "name": "val/total", "value": loss + 0.3, "step": k, "time": 0})
            lines.append(
                {"kind": "metric", "name": "val/cider", "value": 0.02 * k + 0.01 * seed, "step": k, "time": 0}
            )
    lines.append({"kind": "end", "status": "finished", "wall_s": 12.5, "peak_mb": 640.0})
    return put(path, "".join(json.dumps(line) + "\n" for line in lines))


def results(root: Path) -> dict[str, Any]:
    """Everything that render_report reads but figures, as its keyword arguments."""
    for rule, jobs in {"extract_frames": [4.25], "score": [3.1, 3.3]}.items():
        for number, seconds in enumerate(jobs):
            head = {"kind": "job", "rule": rule, "wildcards": {"method": "demo", "number": str(number)}}
            spent = {"wall_s": seconds, "cpu_s": seconds * 0.97, "peak_mb": 900.0 + 300 * number}
            lines = [head, {"kind": "metric"}, {"kind": "end", "status": "finished"} | spent]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            put(root / "records" / rule / "demo" / f"job{number}.jsonl", text)
    put(
        root / "media/view/msvd/failures.csv",
        "video_id,path,reason\nbad<1>,clips/bad.avi,no frame could be decoded\n",
    )
    put(root / "media/view/msrvtt/failures.csv", "video_id,path,reason\n")
    identity = {
        "method": "demo",
        "variant": "step1",
        "dataset": "msvd",
        "split": "test",
        "protocol": "beam5",
        "seed": 1,
    }
    identity |= {
        "scale": "mini",
        "items": 90,
        "items_of": 90,
        "digests": {"checkpoint": "feedface" * 8, "recipe": "b" * 64},
    }
    identity |= {"record": {"path": "records/x.jsonl", "digest": "e" * 64}, "values": {"cider": 0.65}}
    paper = "paper: {key: k, title: A paper about <videos>, authors: Some Body, venue: Somewhere 2019, arxiv: '1904.02628'}\n"
    return {
        "scale": "mini",
        "tables": tables(root),
        "figures": [],
        "claims": claims(root),
        "metrics": [put(root / "metrics/demo/step1/msvd/seed1/beam5/test.json", json.dumps(identity))],
        "records": [record(root / f"training/seed{seed}/record.jsonl", seed) for seed in (1, 2, 3)],
        "results": root,
        "config": {"scale": "mini", "seeds": [1, 2, 3], "run": [{"method": "demo", "datasets": ["msvd"]}]},
        "provenance": {"versions": {"python": "3.11.9", "torch": "2.15.0"}, "platform": "Linux"},
        "methods": [put(root / "demo" / "recipe.yaml", paper)],
        "out": root / "report" / "index.html",
    }
