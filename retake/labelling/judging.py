"""Which of a labeller's sentences are no captions."""


def wrong_with(caption: str, prompt: str, max_repeats: int) -> str | None:
    """Why `caption`, from which `prompt` has been taken off, is none; None where nothing is wrong.

    max_repeats  one word, or two in turn, may follow on one another so often
    """
    words = caption.split()
    if not any(any(sign.isalnum() for sign in word) for word in words):
        return f"the labeller said nothing{': ' + repr(caption) if words else ''}"
    if words == prompt.split():
        return "the labeller said the prompt alone"
    for length in (1, 2):
        for begin in range(len(words) - length):
            part, times = words[begin : begin + length], 1
            while words[begin + times * length : begin + (times + 1) * length] == part:
                times += 1
            if times > max_repeats:
                return f"the labeller said {' '.join(part)!r} {times} times in a row"
    return None
