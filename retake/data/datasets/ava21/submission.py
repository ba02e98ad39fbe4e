"""The challenge's server reads what its evaluation code does: no header, a row a class of a box.

video,second,left,top,right,bottom,class,score   the second of four digits, the box in shares of the picture, the class
                                                 by its number in the list of those evaluated
"""

from retake.data.datasets.ava21.parse import classes
from retake.data.submissions import Asked


def text(asked: Asked) -> str:
    """Raises ValueError that names the predictions where they score another number of classes."""
    numbers = list(classes(asked.root))
    lines = []
    for row, answer in asked.answers():
        if len(answer.scores) != len(numbers):
            path = asked.of[asked.dataset].path
            raise ValueError(f"{path}: scores of {len(answer.scores)} classes; {len(numbers)} are evaluated")
        place = f"{row['video_id']},{round(row['start_s']):04d}," + ",".join(
            f"{edge:.6f}" for edge in answer.box_xyxy
        )
        lines += [
            f"{place},{number},{score:.6g}\n" for number, score in zip(numbers, answer.scores, strict=True)
        ]
    return "".join(lines)
