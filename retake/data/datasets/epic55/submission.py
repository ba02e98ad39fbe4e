"""The challenge's server reads one JSON object a split: of every segment the scores of verbs, nouns and best actions.

{"version": "0.1", "challenge": "action_recognition",
 "results": {uid: {"verb": {class: score}, "noun": {class: score}, "action": {"verb,noun": score}}}}
An action's key is the pair of its classes; the 100 best are told, of fewer all. The two splits are sent in one archive,
test_s1 as seen.json and test_s2 as unseen.json.
"""

import json

from retake.data.submissions import Asked

VERB, NOUN, ACTION = "epic_verb", "epic_noun", "epic_action"
ACTIONS = 100


def text(asked: Asked) -> str:
    """Raises ValueError where verbs and nouns are not among what the actions were fused of."""
    if asked.dataset != ACTION or set(asked.of) != {VERB, NOUN, ACTION}:
        have = ", ".join(sorted(asked.of))
        raise ValueError(
            f"{asked.dataset}: answers of {have}; expected actions that are fused of verbs and nouns"
        )
    verbs, nouns, actions = (asked.scores(name) for name in (VERB, NOUN, ACTION))
    pairs, results = pairs_of(asked), {}
    for item in sorted(actions, key=lambda uid: (len(uid), uid)):
        scores = actions[item]
        best = sorted(range(len(scores)), key=lambda label: -scores[label])[:ACTIONS]
        results[item] = {
            "verb": {str(n): score for n, score in enumerate(verbs[item])},
            "noun": {str(n): score for n, score in enumerate(nouns[item])},
            "action": {"{},{}".format(*pairs[label]): scores[label] for label in best},
        }
    return json.dumps({"version": "0.1", "challenge": "action_recognition", "results": results}) + "\n"


def pairs_of(asked: Asked) -> dict[int, tuple[int, int]]:
    """Action -> (verb, noun), from the segments whose labels are published: they are the same in all three readings."""
    labels = []
    for name in (VERB, NOUN, ACTION):
        rows = asked.of[name].annotations.dropna(subset=["labels"])
        labels.append(
            {item: int(found[0]) for item, found in zip(rows["item_id"], rows["labels"], strict=True)}
        )
    verb_of, noun_of, action_of = labels
    return {action: (verb_of[item], noun_of[item]) for item, action in action_of.items()}
