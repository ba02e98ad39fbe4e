"""Pseudolabels on the page: every clip's times, frame and sentence, and nothing that runs."""

import base64
import io
import re

import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.labelling.shown import SCHEMA
from retake.report.page import _environment
from retake.report.page_labels import labelled_videos

HOSTILE = "<script>alert(1)</script> a dog & a cat"


@pytest.fixture
def shown(tmp_path):
    """Two clips of a video and one of another, of one shard."""
    path = tmp_path / "pseudolabels/speaker/own/shard000/shown.parquet"
    path.parent.mkdir(parents=True)
    rows = [
        {"video_id": video, "start_s": start, "end_s": start + 8, "time_s": start + 3.97, "caption": said,
         "height": 4, "width": 6, "rgb": np.full((4, 6, 3), level, np.uint8).tobytes()}
        for video, start, said, level in (("b", 0.0, "sea", 1), ("a", 8.0, HOSTILE, 2), ("b", 8.0, "sky", 3))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def test_clips_are_grouped_by_labeller_and_video(shown):
    (group,) = labelled_videos([shown])
    assert group["labeller"] == "speaker"
    assert [v["video_id"] for v in group["videos"]] == ["a", "b"]
    clips = group["videos"][1]["clips"]
    assert [(c["start_s"], c["end_s"], c["time_s"], c["caption"]) for c in clips] == [
        (0.0, 8.0, 3.97, "sea"), (8.0, 16.0, 11.97, "sky"),
    ]  # fmt: skip
    for clip, level in zip(clips, (1, 3), strict=True):
        png = base64.b64decode(clip["uri"].removeprefix("data:image/png;base64,"))
        seen = matplotlib.image.imread(io.BytesIO(png))
        assert seen.shape[:2] == (4, 6)
        assert np.allclose(seen[..., :3] * 255, level)


def test_the_section_shows_times_frames_and_sentences_as_text(shown):
    html = _environment().get_template("labels.html").render(groups=labelled_videos([shown]))
    assert "8 s to 16 s, frame at 11.97 s" in html
    assert html.count('<img src="data:image/png;base64,') == 3
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert re.search(r"<h3>speaker</h3>", html)


def test_without_labels_there_is_no_section():
    assert _environment().get_template("labels.html").render(groups=[]).strip() == ""
