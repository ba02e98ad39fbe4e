"""Kind `embedding`: frames of two videos in the plane by t-SNE, each video alone and both together, a row a signal."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from retake.report.figures_lines import SETTINGS

ROWS = {"rgb": "RGB", "motion": "motion", "residual": "residual"}
SPACES = {"video 1": (0,), "video 2": (1,), "joint space": (0, 1)}
COLOURS = ("#1f6fb4", "#d9622b")
DIGITS = 4  # of a place in the plane


def in_plane(values: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """(N, 2) places of N frames: t-SNE by its exact gradient, begun from the first principal components."""
    from sklearn.manifold import TSNE  # takes seconds

    kept = min(perplexity, (len(values) - 1) / 3)
    plane = TSNE(
        n_components=2, perplexity=kept, init="pca", method="exact", learning_rate="auto", random_state=seed, n_jobs=1
    )  # fmt: skip
    return np.asarray(plane.fit_transform(values.astype(np.float64)), dtype=np.float64)


def embedding_table(where: str, spec: dict, examples: Path, frames: Path) -> pd.DataFrame:
    """A row a frame in a space: space, signal, video, video_id, number, x, y."""
    listed = pd.read_csv(frames)
    lines = []
    with np.load(examples) as arrays:
        for signal in ROWS:
            for space, videos in SPACES.items():
                shown = listed[listed["video"].isin(videos)]
                values = np.concatenate([arrays[f"{signal}_{video}"] for video in videos])
                if len(values) != len(shown):
                    raise ValueError(f"{where}: {examples}: other frames than in {frames}")
                places = in_plane(values, spec["perplexity"], spec["seed"])
                for (_, frame), (x, y) in zip(shown.iterrows(), places, strict=True):
                    line = {"space": space, "signal": signal, "video": int(frame["video"]) + 1}
                    line |= {"video_id": frame["video_id"], "number": int(frame["number"])}
                    lines.append(line | {"x": f"{x:.{DIGITS}f}", "y": f"{y:.{DIGITS}f}"})
    return pd.DataFrame(lines)


def embedding_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text: a curve follows a video's frames, its first frame is ringed."""
    table = pd.read_csv(csv)
    with mpl.rc_context(SETTINGS | {"axes.grid": False}):
        figure = Figure(figsize=(8.4, 8.4), layout="constrained")
        grid = figure.subplots(len(ROWS), len(SPACES), squeeze=False)
        for row, (signal, name) in enumerate(ROWS.items()):
            for column, space in enumerate(SPACES):
                axes = grid[row][column]
                part = table[(table["signal"] == signal) & (table["space"] == space)]
                for video, path in part.groupby("video", sort=True):
                    colour = COLOURS[int(video) - 1]
                    axes.plot(path["x"], path["y"], color=colour, linewidth=0.8, alpha=0.6)
                    axes.scatter(path["x"], path["y"], s=10, color=colour, linewidths=0)
                    first = path.iloc[:1]
                    axes.scatter(first["x"], first["y"], s=60, facecolors="none", edgecolors=colour)
                axes.set_xticks([])
                axes.set_yticks([])
                axes.margins(0.08)
                axes.set_title(space if row == 0 else "")
                axes.set_ylabel(name if column == 0 else "")
        named = table.drop_duplicates("video").sort_values("video")["video_id"]
        said = ", ".join(f"video {n}: {video_id}" for n, video_id in enumerate(named, 1))
        figure.suptitle(f"{spec['title']}\n{said}", fontsize=10)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()
