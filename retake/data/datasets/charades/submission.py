"""The release's own evaluation of whole videos reads a line a video: its id, and the scores of all classes in order."""

from retake.data.submissions import Asked


def text(asked: Asked) -> str:
    lines = [
        " ".join([str(row["video_id"]), *(f"{score:.6g}" for score in answer.scores)])
        for row, answer in asked.answers()
    ]
    return "".join(f"{line}\n" for line in lines)
