"""A small simulated world: actors, actions, shots, speech. It makes real video files and knows their truth.

world = World(seed=1, size_px=(80, 64), rates=("10",))
clip = world.clip("train", 0, "msvd")            what happens, by name alone
render(clip), boxes(clip), facts(clip)           frames (T, H, W, 3) uint8, boxes per frame, what is true
captions(clip, 6, draw(world.seed, clip.name))   sentences that differ in syntax and in what they mention
encode(render(clip), path, codec="h264", fps=clip.fps)
still(world, ("train", 0, "coco_captions"), 0.1, 0.0)   one frame of a clip; still_captions, alt_text say what it shows
narrate(scenes, elsewhere, shares, rng)          what somebody says while a film runs
retake.miniworld.ensemble                        several actors over a minute, and what only a far second tells
"""

from retake.miniworld.encoding import encode, tone, write_jpeg
from retake.miniworld.language import captions, described
from retake.miniworld.narration import Narration, narrate
from retake.miniworld.rendering import boxes, render
from retake.miniworld.scene import Actor, Clip
from retake.miniworld.stills import Still, alt_text, still, still_captions
from retake.miniworld.truth import Fact, facts
from retake.miniworld.world import World, clips, draw

__all__ = [
    "Actor",
    "Clip",
    "Fact",
    "Narration",
    "Still",
    "World",
    "alt_text",
    "boxes",
    "captions",
    "clips",
    "described",
    "draw",
    "encode",
    "facts",
    "narrate",
    "render",
    "still",
    "still_captions",
    "tone",
    "write_jpeg",
]
