"""learning_rate.json: the rate of each epoch as torch.optim.lr_scheduler.MultiStepLR sets it; learning_rate_steps.json: the rate of each
step of a run as SequentialLR of LinearLR and MultiStepLR or CosineAnnealingLR does."""

import torch

from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR

from reference import uniform, write

CASES = [
    ("the article's", 1e-4, [15], 0.1, 20),
    ("no milestones", 0.05, [], 0.1, 4),
    ("from the first epoch on", 0.1, [0, 2], 0.1, 5),
    ("the first epoch twice", 0.1, [0, 0], 0.5, 3),
    ("repeated, out of order", 0.01, [3, 1, 3, 3, 7], 0.3, 9),
    ("beyond the end", 0.01, [2, 6, 1000], 0.1, 6),
    ("gamma 1", 0.2, [1, 2], 1.0, 4),
    ("gamma 0", 0.2, [2], 0.0, 4),
    ("growing", 1e-6, [1, 2, 4], 10.0, 6),
]


def random_case(index):
    base, gamma, count, *milestones = uniform(f"schedule{index}", 11) + 0.5
    return f"random {index}", base, [int(30 * each) for each in milestones[: int(9 * count)]], gamma, 25


def rates(base, milestones, gamma, epochs):
    return follow(base, epochs, lambda optimizer: MultiStepLR(optimizer, milestones, gamma))


def follow(base, count, make_scheduler):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = make_scheduler(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def case(name, base, milestones, gamma, epochs):
    schedule = {"base": base, "milestones": milestones, "gamma": gamma}
    return {"name": name, "schedule": schedule, "rates": rates(base, milestones, gamma, epochs)}


write("learning_rate.json", [case(*each) for each in [*CASES, *map(random_case, range(6))]], 17)


# name, base, milestones (epochs), steps of an epoch, epochs, steps of the warm-up, flat fraction, final factor
STEP_CASES = [
    ("multistep", 0.01, [2, 3], 5, 4, 0, 0.5, 0.0),
    ("multistep", 0.02, [2, 3], 5, 4, 7, 0.5, 0.0),
    ("cosine", 1e-4, [], 7, 6, 0, 0.5, 0.0),
    ("cosine", 0.3, [], 7, 6, 5, 0.5, 0.0),
    ("cosine", 2e-3, [], 4, 5, 1, 0.5, 0.05),
    ("flat-cosine", 1e-3, [], 6, 5, 0, 0.5, 0.0),
    ("flat-cosine", 4e-3, [], 6, 5, 4, 0.7, 0.05),
]


def sequence(optimizer, name, base, milestones, steps, epochs, warmup, flat_fraction, final_factor):
    total, end = steps * epochs, final_factor * base
    flat = round(flat_fraction * total)
    parts = {
        "multistep": lambda: [MultiStepLR(optimizer, [steps * each - warmup for each in milestones], 0.1)],
        "cosine": lambda: [CosineAnnealingLR(optimizer, total - warmup, end)],
        "flat-cosine": lambda: [ConstantLR(optimizer, 1.0, 1), CosineAnnealingLR(optimizer, total - flat, end)],
    }[name]
    if warmup == 0:
        return SequentialLR(optimizer, parts(), [flat] if name == "flat-cosine" else [])
    ends = [warmup, flat] if name == "flat-cosine" else [warmup]
    return SequentialLR(optimizer, [LinearLR(optimizer, 1e-3, 1.0, warmup), *parts()], ends)


def step_case(*case):
    name, base, milestones, steps, epochs, warmup, flat_fraction, final_factor = case
    schedule = {"name": name, "base": base, "milestones": milestones, "gamma": 0.1, "steps": steps, "epochs": epochs}
    schedule |= {"warmupSteps": warmup, "flatFraction": flat_fraction, "finalFactor": final_factor}
    return {"schedule": schedule, "rates": follow(base, steps * epochs, lambda optimizer: sequence(optimizer, *case))}


write("learning_rate_steps.json", [step_case(*each) for each in STEP_CASES], 17)
