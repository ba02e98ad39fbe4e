"""How long a job takes that only imports: by Python alone, and forked from the job server (retake/server).

    python benchmarks/startup.py [--repetitions 5]

Run from the project's folder. Both go through retake/launch.py, in turns; the server has made each import once, for
a job before the first that counts. Printed: median milliseconds by the clock, and the median of the ratios.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake import server
from retake.guard import SERVER

JOBS = {
    "nothing": "",
    "pandas": "import pandas, pyarrow.parquet",
    "torch": "import torch",
    "torch, timm": "import torch, timm",
    "transformers": "import torch\nfrom transformers import BlipForConditionalGeneration, OPTForCausalLM",
    "a script": "from retake.job import job\nfrom retake.training.loop import train_stage",
}
FIRST = "from retake.compiler import postpone_compiler\npostpone_compiler()\n"  # as retake.job has it


def milliseconds(script: Path, name: str) -> float:
    environment = os.environ | {SERVER: name, "PYTHONPATH": str(Path.cwd()), "PYTHONSAFEPATH": "1"}
    started = time.perf_counter()
    subprocess.run([sys.executable, "retake/launch.py", script], env=environment, check=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    os.environ |= {"PYTHONPATH": str(Path.cwd()), "PYTHONSAFEPATH": "1"}
    server.launch()
    name = os.environ[SERVER]
    print(f"{'imports':<16}{'alone ms':>10}{'forked ms':>11}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (label, source) in enumerate(JOBS.items()):
            script = Path(folder) / f"job{number}.py"
            script.write_text(FIRST + source)
            milliseconds(script, name), milliseconds(script, "off")
            pairs = [(milliseconds(script, "off"), milliseconds(script, name)) for _ in range(repetitions)]
            alone, forked = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{label:<16}{alone:>10.0f}{forked:>11.0f}{ratio:>8.1f}")


if __name__ == "__main__":
    main()
