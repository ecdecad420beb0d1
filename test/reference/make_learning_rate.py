"""learning_rate.json: the rate of each epoch as torch.optim.lr_scheduler.MultiStepLR sets it."""

import torch

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
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def case(name, base, milestones, gamma, epochs):
    schedule = {"base": base, "milestones": milestones, "gamma": gamma}
    return {"name": name, "schedule": schedule, "rates": rates(base, milestones, gamma, epochs)}


write("learning_rate.json", [case(*each) for each in [*CASES, *map(random_case, range(6))]], 17)
