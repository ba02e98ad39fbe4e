"""Optimisers by name with parameter groups by pattern, gradient clipping, and the learning rate over
steps.
"""

import math
from typing import Any

import torch
from torch import nn

from retake.training.stages import matching


def optimiser_of(model: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """settings: name, lr, groups [{match, lr, weight_decay}], and what the named one takes.

    A group's rate is its lr times the one of all.

    The first group that matches a parameter has it. Raises ValueError if a group matches no trained
    parameter, or a trained parameter is in no group.
    """
    left = {name: p for name, p in model.named_parameters() if p.requires_grad}
    groups = []
    for number, group in enumerate(settings["groups"]):
        names = matching([group["match"]], left, f"optimiser.groups[{number}]")
        parameters = [left[name] for name in sorted(names)]
        rate = settings["lr"] * group["lr"]
        groups.append({"params": parameters, "lr": rate, "weight_decay": group.get("weight_decay", 0.0)})
        left = {name: p for name, p in left.items() if name not in names}
    if left:
        raise ValueError(f"optimiser.groups: no group matches trained parameters {sorted(left)[:3]}")
    for group in groups:
        group["base_lr"] = group["lr"]
    adam = {"betas": tuple(settings["betas"]), "eps": settings["eps"], "amsgrad": settings["amsgrad"]}
    # a processor's loop over small tensors in Python takes eight times as long; elsewhere torch chooses
    adam["fused"] = True if all(p.device.type == "cpu" for g in groups for p in g["params"]) else None
    make = {
        "adam": lambda: torch.optim.Adam(groups, **adam),
        "adamw": lambda: torch.optim.AdamW(groups, **adam),
        "sgd": lambda: torch.optim.SGD(groups, momentum=settings["momentum"], nesterov=settings["nesterov"]),
        "adadelta": lambda: torch.optim.Adadelta(groups, eps=settings["eps"]),
    }
    if settings["name"] not in make:
        raise ValueError(f"optimiser.name: expected one of {sorted(make)}, found {settings['name']!r}")
    return make[settings["name"]]()


def clip(parameters: list[nn.Parameter], limit: dict[str, float] | None) -> None:
    """Gradients into [-value, value], element by element, or scaled to a norm of at most `norm`; None does
    nothing.
    """
    if not limit:
        return
    kind = [k for k in ("value", "norm") if limit.get(k) is not None]
    if len(kind) != 1:
        raise ValueError(f"optimiser.clip: expected exactly one of value and norm, found {limit}")
    if kind == ["value"]:
        nn.utils.clip_grad_value_(parameters, limit["value"])
    else:
        nn.utils.clip_grad_norm_(parameters, limit["norm"])


def norm_of(parameters: list[nn.Parameter]) -> torch.Tensor:
    """The norm of all gradients together."""
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def rate_at(step: int, total: int, schedule: dict[str, Any]) -> float:
    """Share of the base rate at optimiser step `step` (from 0) of `total`.

    A linear warm-up reaches the base rate after `warmup_steps`; then constant, cosine or linear down to
    `floor`, or `factor` of it for each of `drops` (steps done) that is past.
    """
    warmup, floor = schedule["warmup_steps"], schedule["floor"]
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    if schedule["name"] == "constant":
        return 1.0
    if schedule["name"] == "cosine":
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    if schedule["name"] == "linear":
        return floor + (1 - floor) * (1 - done)
    if schedule["name"] == "steps":
        return schedule["factor"] ** sum(step >= drop for drop in schedule["drops"])
    raise ValueError(f"schedule.name: expected constant, cosine, linear or steps, found {schedule['name']!r}")


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * share
