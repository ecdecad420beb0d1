"""optimizer.json: five steps of torch.optim's AdamW and SGD on given gradients, and of AdamW with two parameter groups."""

import torch

from reference import pattern, write

SHAPES = {"weight": (3, 4), "bias": (5,), "rare": (2, 2)}
LEARNING_RATES = [0.1, 0.1, 0.01, 0.01, 0.001]


def run(kind):
    parameters = {name: torch.nn.Parameter(pattern(name, shape, 2.0)) for name, shape in SHAPES.items()}
    optimizer = {
        "adamw": lambda: torch.optim.AdamW(parameters.values()),
        "sgd": lambda: torch.optim.SGD(parameters.values(), momentum=0.9, nesterov=True),
    }[kind]()
    for step, learning_rate in enumerate(LEARNING_RATES):
        for name, parameter in parameters.items():
            # "rare" has no gradient in the first step and the fourth: it is then left alone
            given = name != "rare" or step not in (0, 3)
            parameter.grad = pattern(f"{kind}.{name}.{step}", SHAPES[name], 10.0**-step) if given else None
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.step()
    return result(parameters, optimizer, {"adamw": ["exp_avg", "exp_avg_sq", "step"], "sgd": ["momentum_buffer"]}[kind])


def result(parameters, optimizer, keys):
    return {
        "parameters": {name: p.detach().flatten() for name, p in parameters.items()},
        "state": {
            f"{name}.{key}": optimizer.state[p][key].detach().flatten() for name, p in parameters.items() for key in keys
        },
    }


def run_groups():
    """Only "weight" decays, at a rate of its own."""
    parameters = {name: torch.nn.Parameter(pattern(name, shape, 2.0)) for name, shape in SHAPES.items()}
    weight, *others = parameters.values()
    groups = [{"params": [weight], "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    for step, learning_rate in enumerate(LEARNING_RATES):
        for name, parameter in parameters.items():
            parameter.grad = pattern(f"groups.{name}.{step}", SHAPES[name], 10.0**-step)
        for group, factor in zip(optimizer.param_groups, [0.1, 1.0]):
            group["lr"] = factor * learning_rate
        optimizer.step()
    return {
        "factors": {"weight": 0.1, "bias": 1.0, "rare": 1.0},
        "decays": {"weight": 0.05, "bias": 0.0, "rare": 0.0},
        "adamw": result(parameters, optimizer, ["exp_avg", "exp_avg_sq", "step"]),
    }


write(
    "native/optimizer.json",
    {"shapes": SHAPES, "learningRates": LEARNING_RATES, "adamw": run("adamw"), "sgd": run("sgd"), "groups": run_groups()},
    9,
)
