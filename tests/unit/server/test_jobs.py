"""A job of the server is what Python alone would run: same words, same surroundings, same end."""

import re

import pytest

AROUND = """
import json, sys
mask = os.umask(0); os.umask(mask)
print(json.dumps({
    "words": sys.argv, "name": __name__, "file": __file__, "spec": str(__spec__), "folder": os.getcwd(),
    "path": sys.path, "hash": hash("word"), "mask": mask, "said": sys.stdin.read(), "flags": repr(sys.flags),
    "environment": {k: v for k, v in sorted(os.environ.items()) if k != "RETAKE_SERVER"},
    "ours": sorted(m for m in sys.modules if m.split(".")[0] == "retake"),
    "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.stderr.errors],
}), SERVED, sep="\\n")
"""
ENDS = {
    "well": "print('done')",
    "status": "import sys; print('x'); sys.exit(3)",
    "words": "raise SystemExit('no such thing')",
    "error": "def f():\n    raise ValueError('not that')\nf()",
    "caused": "try:\n    {}['a']\nexcept KeyError as e:\n    raise OSError(5, 'lost') from e",
    "not python": "x = = 3",
    "interrupted": "raise KeyboardInterrupt",
    "terminated": "import signal; os.kill(os.getpid(), signal.SIGTERM)",
    "killed": "import signal; os.kill(os.getpid(), signal.SIGKILL)",
    "crashed": "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()",
    "at once": "print('kept back'); os._exit(5)",
    "left open": "file = open('left.txt', 'w'); file.write('left'); print('open')",
    "in a circle": "class A:\n    def __del__(self):\n        print('gone')\na = A(); a.a = a",
    "exit functions": "import atexit; atexit.register(print, 'last'); print('first')",
    "a failing exit function": "import atexit\n@atexit.register\ndef last():\n    raise ValueError('late')",
    "threads": (
        "import threading, time\n"
        "def late():\n    time.sleep(0.2); print('late')\n"
        "threading.Thread(target=late).start()"
    ),
    "of C": "import ctypes; ctypes.CDLL(None).printf(b'printed by C\\n')",
}


def test_a_job_finds_what_python_alone_finds(place, monkeypatch):
    script = place.script(AROUND)
    words = [script, "--recipe", '{"a": "ü \' \\" x"}', ""]
    forked = place.run(*words, said="given", OTHER="1", ODD="\udcff")
    alone = place.run(*words, said="given", served=False, OTHER="1", ODD="\udcff")
    assert forked.stdout.splitlines()[1:] == ["True"]
    assert alone.stdout.splitlines()[1:] == ["False"]
    assert forked.stdout.splitlines()[0] == alone.stdout.splitlines()[0]
    assert '"said": "given"' in alone.stdout
    assert '"ours": []' in forked.stdout


def test_a_scripts_own_folder_is_searched_where_python_alone_would(place):
    script = place.script("import sys; print(SERVED); print(sys.path)")
    said = [
        place.run(script, served=served, PYTHONSAFEPATH="").stdout.splitlines() for served in (True, False)
    ]
    assert said[0][1] == said[1][1]


@pytest.mark.parametrize("end", ENDS)
def test_a_job_ends_as_python_alone_ends(place, end):
    script, left = place.script(ENDS[end]), place.folder / "left.txt"
    ends = []
    for served in (True, False):
        done = place.run(script, served=served)
        said = re.sub(r"0x[0-9a-f]+", "0x", done.stderr)
        ends.append((done.returncode, done.stdout, said, left.read_text() if left.exists() else None))
        left.unlink(missing_ok=True)
    assert ends[0] == ends[1]
    assert place.log == "" or "plain" not in place.log, "the first of the two was forked"


def test_what_one_job_does_to_itself_the_next_does_not_see(place):
    change = place.script(
        "import sys, json, random\nos.environ['LEFT'] = '1'; os.chdir('/'); os.umask(0o77); random.seed(1)\n"
        "json.left = 1; sys.path.append('left'); sys.setrecursionlimit(99)",
        "change.py",
    )
    assert place.run(change).returncode == 0
    look = place.script(
        "import sys, json\nprint(SERVED, 'LEFT' in os.environ, os.getcwd(), os.umask(0), hasattr(json, 'left'), "
        "'left' in sys.path, sys.getrecursionlimit())",
        "look.py",
    )
    assert place.run(look).stdout == place.run(look, served=False).stdout.replace("False", "True", 1)


def test_code_that_is_edited_between_two_jobs_is_run_as_edited(place):
    module = place.folder / "retake/words.py"
    script = place.script("import yaml\nfrom retake.words import WORD\nprint(SERVED, WORD)")
    for word in ("one", "three"):
        module.write_text(f"WORD = '{word}'\n")
        assert place.run(script).stdout == f"True {word}\n"
    place.script("print('another script')")
    assert place.run(script).stdout == "another script\n"


DRAWS = """
import random
import numpy as np
if {seed}: random.seed(3); np.random.seed(3)
print(SERVED, random.random(), np.random.random(), np.random.default_rng({seed} or None).random())
"""


def test_jobs_share_no_random_state(place):
    place.script("import numpy.random", "first.py")
    place.run("scripts/first.py")
    free, seeded = place.script(DRAWS.format(seed=0), "free.py"), place.script(DRAWS.format(seed=3))
    one, two = (place.run(free).stdout.split() for _ in range(2))
    assert one[0] == two[0] == "True"
    assert all(a != b for a, b in zip(one[1:], two[1:], strict=True))
    assert place.run(seeded).stdout.split()[1:] == place.run(seeded, served=False).stdout.split()[1:]


TRAINS = """
import hashlib, sys
BEFORE = "torch" in sys.modules
import torch
print(SERVED, BEFORE, torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype())
print(torch.initial_seed())
torch.use_deterministic_algorithms(True)
torch.set_default_dtype(torch.float64 if len(sys.argv) > 1 else torch.float32)
torch.manual_seed(7)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 5))
optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(3):
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(net(torch.randn(16, 3, 8, 8)), torch.arange(16) % 5).backward()
    optimiser.step()
data = b"".join(p.detach().numpy().tobytes() for p in net.parameters())
print(hashlib.sha256(data).hexdigest())
"""


def test_a_training_ends_with_the_same_bytes_and_its_settings_stay_its_own(place):
    script = place.script(TRAINS)
    another = place.run(script, "another", OMP_NUM_THREADS="1").stdout.splitlines()
    forked = place.run(script, OMP_NUM_THREADS="1").stdout.splitlines()
    alone = place.run(script, served=False, OMP_NUM_THREADS="1").stdout.splitlines()
    assert another[2] != forked[2] == alone[2]
    assert another[1] != forked[1] != alone[1], "unless it is seeded each draws its own"
    assert another[0].split() == forked[0].split()
    assert forked[0].split()[:2] == ["True", "True"]
    assert forked[0].split()[2:] == alone[0].split()[2:]
