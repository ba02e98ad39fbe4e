"""Each case is a process of its own: what a process has imported stays imported."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path("scripts")
STEP = """
import torch
def step():
    torch.manual_seed(1)
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(4, 3)).square().sum().backward()
    optimiser.step()
    return model.weight.tolist()
"""


def said(code: str, *, postponed: bool = True) -> str:
    begin = "from retake.compiler import postpone_compiler; postpone_compiler()\n" if postponed else ""
    done = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


RUNNING = "print('torch._dynamo.convert_frame' in sys.modules)"


WORK = f"""
import accelerate, sys, timm, torch
{STEP}
timm.create_model("resnet18", num_classes=2)
step()
a = accelerate.Accelerator(cpu=True)
a.unwrap_model(a.prepare(torch.nn.Linear(1, 1)))
"""


def test_a_job_does_not_import_the_compiler():
    """Not for an image network, an optimiser's step, or a model handed to accelerate."""
    assert said(WORK + RUNNING) == "False\n"


def test_a_step_is_the_same_with_and_without():
    assert said(STEP + "print(step())") == said(STEP + "print(step())", postponed=False)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(
            "f = torch.compile(lambda x: 2 * x, backend='eager'); assert f(torch.ones(1)) == 2", id="compile"
        ),
        pytest.param("from torch._dynamo.utils import counters", id="a name of a module of its own"),
        pytest.param("from torch._dynamo import config; assert config is torch._dynamo.config", id="a part"),
        pytest.param(
            "import torchvision.ops; assert sys.modules['torchvision.ops.roi_align']"
            ".is_compile_supported('cpu') in (True, False)",
            id="torchvision's question",
        ),
    ],
)
def test_whoever_asks_for_the_compiler_gets_the_real_one(use):
    after = "import torch._dynamo.utils as u\nassert u is sys.modules['torch._dynamo.utils'] is torch._dynamo.utils"
    assert said(f"import sys, torch\n{STEP}step()\n{use}\n{after}\nstep()\n{RUNNING}") == "True\n"


def test_a_compiler_that_is_there_stays():
    code = (
        "import torch._dynamo as real\nfrom retake.compiler import postpone_compiler\npostpone_compiler()\n"
    )
    assert said(code + "import torch._dynamo as now; print(now is real)", postponed=False) == "True\n"


def test_who_looks_through_all_modules_finds_no_compiler():
    assert (
        said(f"import sys, torch, inspect\ninspect.getmodule(len)\ninspect.stack()\n{RUNNING}") == "False\n"
    )


@pytest.mark.parametrize(
    "script", [p.name for p in sorted(SCRIPTS.glob("*.py")) if "retake.training" in p.read_text()]
)
def test_a_script_postpones_it_before_it_imports_torch(script):
    lines = (SCRIPTS / script).read_text().splitlines()
    above = "\n".join(line for line in lines if line.startswith(("import ", "from ")))
    assert said(f"import sys\n{above}\n{RUNNING}", postponed=False) == "False\n"
