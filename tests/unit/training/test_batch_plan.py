import sys
import types

from retake.training.batch_plan import BatchShape, Constant, plan_of


def test_a_constant_plan_covers_the_epoch_with_a_smaller_last_step():
    plan = plan_of({"name": "constant"}, {"effective": 4, "at_once": 2}, (5, 4), 1)
    assert plan == Constant(BatchShape(items=4, at_once=2), 3)
    assert list(plan.shapes(0)) == list(plan.shapes(7)) == [BatchShape(items=4, at_once=2)] * 3
    assert plan.steps(0) == 3


def test_a_constant_plan_may_fix_frames_and_size():
    plan = plan_of({"name": "constant", "frames": 8, "size_px": 64}, {"effective": 4, "at_once": 2}, (4,), 1)
    assert (plan.shape.frames, plan.shape.size_px) == (8, 64)


def test_a_method_brings_its_own_plan(monkeypatch):
    module = types.ModuleType("tests_own_plan")
    module.make = lambda options, batch, examples, seed: (options, batch, examples, seed)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert plan_of({"name": "tests_own_plan", "cycle": 2}, {"effective": 4}, (9,), 3) == (
        {"cycle": 2},
        {"effective": 4},
        (9,),
        3,
    )
