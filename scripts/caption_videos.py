"""Caption videos with a checkpoint that is there, into JSON lines and CSV (rule caption_videos)."""

from retake.job import job
from retake.training.captions import caption_videos

with job() as j:
    caption_videos(
        model_module=f"retake.methods.{j.wildcards['method']}.model",
        recipe=j.recipe,
        seed=j.seed,
        jsonl_out=j.output["jsonl"],
        csv_out=j.output["csv"],
    )
