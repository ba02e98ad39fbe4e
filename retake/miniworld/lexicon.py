"""What exists in the mini world, and the words for it.

Everything that a clip can show is an entry here: its key, the kind of evidence that tells it (KINDS) and the
words that a caption may use. A caption mentions a fact if one of its tokens is among the fact's words, so the
words of two values of one fact never overlap.
"""

from dataclasses import dataclass

KINDS = ("one_frame", "order", "motion", "sound", "far")


@dataclass(frozen=True)
class Verb:
    """One way to say an action; `{o}` is the object's noun phrase, `bare` the wording without an object.

    `present` and `doing` follow a subject ("sits on {o}", is "sitting on {o}"), `passive` the object.
    """

    present: str
    doing: str
    bare: str
    bare_doing: str
    passive: str = ""


@dataclass(frozen=True)
class Action:
    """An action: which evidence tells it, whether its object must be one that opens, how it is worded."""

    kind: str
    words: frozenset[str]
    verbs: tuple[Verb, ...]
    opens: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _plain(present: str, doing: str, where: str) -> Verb:
    """An action that happens beside an object: the object is a place ("jumps next to {o}")."""
    return Verb(f"{present} {where} {{o}}", f"{doing} {where} {{o}}", present, doing)


# Nouns of a kind; the first is the common one.
ACTORS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten"),
    "dog": ("dog", "puppy"),
    "bird": ("bird", "parrot"),
    "robot": ("robot", "android"),
    "girl": ("girl", "woman", "lady"),
    "man": ("man", "guy", "gentleman"),
    "car": ("car", "automobile"),
    "fish": ("fish", "goldfish"),
}
HYPERNYMS = ("creature", "figure", "character")

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 30, 38),
    "blue": (32, 84, 232),
    "green": (28, 176, 62),
    "yellow": (250, 220, 32),
    "purple": (150, 44, 200),
    "white": (248, 248, 248),
}

# A mark is a pattern or a size: adjectives, and for patterns what follows "with".
MARKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "striped": (("striped",), ("stripes",)),
    "spotted": (("spotted", "dotted"), ("spots", "dots")),
    "tiny": (("tiny", "small", "little"), ()),
    "huge": (("huge", "big", "giant"), ()),
}
MARK_SCALE = {"tiny": 0.68, "huge": 1.35}

OBJECTS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "football"),
    "apple": ("apple", "fruit"),
    "drum": ("drum", "bongo"),
    "lamp": ("lamp", "lantern"),
    "box": ("box", "crate"),
    "book": ("book", "novel"),
    "umbrella": ("umbrella", "parasol"),
    "door": ("door", "gate"),
}
OPENABLE = ("box", "book", "umbrella", "door")

PLACES: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "beach": (("at the beach", "on the sand", "by the sea"), _words("beach sand sea")),
    "forest": (("in the forest", "in the woods", "among the trees"), _words("forest woods trees")),
    "city": (("in the city", "on a street", "downtown"), _words("city street downtown")),
    "kitchen": (("in the kitchen", "on the tiles", "indoors"), _words("kitchen tiles indoors")),
    "mountain": (
        ("in the snow", "on a snowy mountain", "in the mountains"),
        _words("snow snowy mountain mountains"),
    ),
    "moon": (("on the moon", "in space", "under the stars"), _words("moon space stars")),
}

ACTIONS: dict[str, Action] = {
    # told by one frame
    "hold": Action(
        "one_frame",
        _words("holds holding held lifts lifting lifted carries carrying carried"),
        (
            Verb(
                "holds {o} overhead",
                "holding {o} overhead",
                "holds something up",
                "holding something",
                "held up by",
            ),
            Verb("lifts {o}", "lifting {o}", "lifts something", "lifting something", "lifted by"),
            Verb("carries {o}", "carrying {o}", "carries something", "carrying something", "carried by"),
        ),
    ),
    "sit": Action(
        "one_frame",
        _words("sits sitting sat seated perches perching perched"),
        (
            Verb("sits on {o}", "sitting on {o}", "sits on something", "sitting on something", "sat on by"),
            Verb("is seated on {o}", "seated on {o}", "is seated", "seated"),
            Verb("perches on {o}", "perching on top of {o}", "perches on something", "perched on something"),
        ),
    ),
    "sleep": Action(
        "one_frame",
        _words("sleeps sleeping asleep naps napping snoozes snoozing"),
        (
            _plain("sleeps", "sleeping", "next to"),
            _plain("naps", "taking a nap and napping", "near"),
            _plain("is fast asleep", "lying asleep", "beside"),
            _plain("snoozes", "snoozing", "by"),
        ),
    ),
    "hide": Action(
        "one_frame",
        _words("hides hiding hidden peeks peeking"),
        (
            Verb(
                "hides behind {o}",
                "hiding behind {o}",
                "hides behind something",
                "hiding",
                "used for hiding by",
            ),
            Verb("peeks out from behind {o}", "peeking over {o}", "peeks out", "peeking out"),
            Verb("is hidden by {o}", "half hidden by {o}", "is half hidden", "half hidden"),
        ),
    ),
    "fly": Action(
        "one_frame",
        _words("flies flying hovers hovering floats floating soars"),
        (
            Verb("flies over {o}", "flying over {o}", "flies with wings", "flying"),
            Verb("hovers above {o}", "hovering above {o}", "hovers in the air", "hovering in the air"),
            Verb("floats over {o}", "floating above {o}", "soars through the air", "floating in the air"),
        ),
    ),
    # told by order: each pair shows the same frames, in reverse
    "jump": Action(
        "order",
        _words("jumps jumping leaps leaping hops hopping"),
        (
            _plain("jumps up and then crouches", "jumping up and then crouching", "next to"),
            _plain("leaps into the air before landing", "leaping into the air", "near"),
            _plain("hops up first", "hopping up first", "by"),
        ),
    ),
    "duck": Action(
        "order",
        _words("ducks ducking dips dipping bows bowing"),
        (
            _plain("ducks and then springs up", "ducking and then springing up", "next to"),
            _plain("dips down before getting up", "dipping down", "near"),
            _plain("bows down first", "bowing down first", "by"),
        ),
    ),
    "open": Action(
        "order",
        _words("opens opening opened unfolds unfolding"),
        (
            Verb("opens {o}", "opening {o}", "opens something", "opening something", "opened by"),
            Verb(
                "slowly opens {o}",
                "opening up {o}",
                "opens something up",
                "opening something up",
                "being opened by",
            ),
            Verb("unfolds {o}", "unfolding {o}", "unfolds something", "unfolding something"),
        ),
        opens=True,
    ),
    "close": Action(
        "order",
        _words("closes closing closed shuts shutting shut"),
        (
            Verb("closes {o}", "closing {o}", "closes something", "closing something", "closed by"),
            Verb(
                "slowly closes {o}",
                "closing {o} again",
                "closes something up",
                "closing something up",
                "being closed by",
            ),
            Verb("shuts {o}", "shutting {o}", "shuts something", "shutting something", "shut by"),
        ),
        opens=True,
    ),
    # told by motion: all four visit the same poses
    "left": Action(
        "motion",
        _words("left leftwards"),
        (
            _plain("moves to the left", "moving to the left", "past"),
            _plain("goes left", "going left", "past"),
            _plain("travels leftwards", "travelling leftwards", "in front of"),
        ),
    ),
    "right": Action(
        "motion",
        _words("right rightwards"),
        (
            _plain("moves to the right", "moving to the right", "past"),
            _plain("goes right", "going right", "past"),
            _plain("travels rightwards", "travelling rightwards", "in front of"),
        ),
    ),
    "pace": Action(
        "motion",
        _words("paces pacing forth fro patrols patrolling"),
        (
            _plain("paces back and forth", "pacing back and forth", "in front of"),
            _plain("wanders to and fro", "wandering to and fro", "past"),
            _plain("patrols", "patrolling", "around"),
        ),
    ),
    "shake": Action(
        "motion",
        _words("shakes shaking trembles trembling shivers shivering"),
        (
            _plain("shakes wildly", "shaking wildly", "in front of"),
            _plain("trembles", "trembling", "near"),
            _plain("shivers", "shivering a lot", "by"),
        ),
    ),
}

CAMERAS: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "still": ((), frozenset()),
    "pan": (("the camera pans", "the view is panning", "the camera pans slowly"), _words("pans panning")),
    "zoom": (
        ("the camera zooms in", "the view gets closer", "the camera is zooming"),
        _words("zooms zooming closer"),
    ),
    "cut": (("the film cuts to a close up", "the scene cuts", "there is a cut"), _words("cuts cut")),
}

# What is said in a clip: the line, and the words that tell this line from the others.
SPEECH: dict[str, tuple[str, frozenset[str]]] = {
    "hello": ("hello, everybody", _words("hello everybody")),
    "night": ("good night", _words("night")),
    "count": ("one, two, three", _words("one two three")),
    "help": ("please help me", _words("please help")),
    "birthday": ("happy birthday", _words("happy birthday")),
    "careful": ("be careful", _words("careful")),
    "thanks": ("thank you very much", _words("thank thanks")),
    "hungry": ("i am hungry", _words("hungry")),
}

# Which lamp lit first, near the start, decides what is said of the end.
OUTCOMES: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "win": (
        (
            "wins because go came first",
            "wins at last",
            "is the winner",
            "celebrates a victory in the end",
        ),
        _words("wins winner victory"),
    ),
    "lose": (
        (
            "loses because stop came first",
            "loses at last",
            "is the loser",
            "suffers a defeat in the end",
        ),
        _words("loses loser defeat"),
    ),
}
