"""Captions to tokens as COCO's evaluation makes them: Stanford's PTB tokenizer, lower case, no punctuation.

The Java program and the list of punctuation are pycocoevalcap's. Its own wrapper is not used: it needs a
`java` in PATH, writes into site-packages, does not look at how many lines come back, and zips what came back
with what went in, so that one stray line separator in one caption gives every later caption another one's
tokens.
"""

import re
import tempfile
from pathlib import Path

from pycocoevalcap.tokenizer import ptbtokenizer

from retake.metrics.java import Java

JAR = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
PUNCTUATION = frozenset(ptbtokenizer.PUNCTUATIONS)
HEAP_MB = 512
# what ends a line anywhere, and METEOR's |||
SEPARATORS = re.compile("[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0]|\\|{3,}")


def normalised(caption: str) -> str:
    """`caption` on one line: every line separator and every ||| is a space. Half a surrogate pair is a ?."""
    return SEPARATORS.sub(" ", caption).encode("utf-8", "replace").decode("utf-8")


def tokenised(captions: list[str], *, timeout_s: float = 600.0) -> list[str]:
    """Tokens of each caption, joined by spaces ("" without any). Starts one Java process.

    Raises JavaError when the tokenizer fails, takes longer than timeout_s, or does not give one line a
    caption.
    """
    if not captions:
        return []
    with tempfile.TemporaryFile() as file:
        file.write("".join(f"{normalised(caption)}\n" for caption in captions).encode("utf-8"))
        file.seek(0)
        quick = "-XX:TieredStopAtLevel=1"  # a job's captions are done before the better compiler pays
        args = [
            "-cp",
            str(JAR),
            quick,
            "edu.stanford.nlp.process.PTBTokenizer",
            "-preserveLines",
            "-lowerCase",
        ]
        with Java(args, heap_mb=HEAP_MB, timeout_s=timeout_s, stdin=file) as java:
            lines = java.rest().split("\n")
            if lines.pop() or len(lines) != len(captions):
                raise java.fail(f"{len(captions)} captions went in, {len(lines)} came out")
    return [" ".join(word for word in line.rstrip().split(" ") if word not in PUNCTUATION) for line in lines]
