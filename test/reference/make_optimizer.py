"""optimizer.json: five steps of torch.optim's AdamW and SGD on given gradients."""

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
    keys = {"adamw": ["exp_avg", "exp_avg_sq", "step"], "sgd": ["momentum_buffer"]}[kind]
    return {
        "parameters": {name: p.detach().flatten() for name, p in parameters.items()},
        "state": {
            f"{name}.{key}": optimizer.state[p][key].detach().flatten() for name, p in parameters.items() for key in keys
        },
    }


write(
    "native/optimizer.json",
    {"shapes": SHAPES, "learningRates": LEARNING_RATES, "adamw": run("adamw"), "sgd": run("sgd")},
    9,
)
