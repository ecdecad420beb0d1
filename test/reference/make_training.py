"""gradients.json, training.json: every gradient of a small detector, and whole training runs by torch.optim."""

import torch
from torch import nn

import ssd
from convnext import ConvNext
from reference import digest, load_weights, picture, write

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
CLASSES = 4


class Detector(nn.Module):
    """The article's model: one map, a head of six entries."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = ssd.SSDHead([192] * 6, [4, 6, 6, 6, 4, 4], CLASSES)

    def forward(self, pixels):
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        return self.head([self.backbone(images)])


ANCHORS = ssd.default_boxes([(2, 2)], 64, 64)
PIXELS = torch.stack([torch.from_numpy(picture(f"picture{i}", 64, 64)) for i in range(2)]).numpy()
TARGETS = [
    {"boxes": torch.tensor([[9.0, 10, 23, 22], [30, 35, 63, 60]]), "labels": torch.tensor([1, 3])},
    {"boxes": torch.tensor([[40.5, 4.25, 60, 27]]), "labels": torch.tensor([2])},
]


def step(detector, parameters, clip=None):
    """Gradients, and what a training step tells."""
    losses, matches = ssd.losses(detector(PIXELS), TARGETS, ANCHORS)
    loss = sum(losses.values())
    loss.backward()
    norm = nn.utils.clip_grad_norm_(parameters, clip if clip is not None else float("inf"))
    return {
        "loss": loss.item(),
        "boxLoss": losses["bbox_regression"].item(),
        "classLoss": losses["classification"].item(),
        "gradientNorm": norm.item(),
        "positives": sum((m >= 0).sum().item() for m in matches),
    }


def gradients():
    """Of the head's six entries only the first has a map, and so gradients."""
    detector = load_weights(Detector(ConvNext("convnext_test")))
    result = step(detector, detector.parameters())
    found = {name: p.grad for name, p in detector.named_parameters() if p.grad is not None}
    return {"targets": TARGETS, "step": result, "gradients": digest(found, 16)}


def train(name, kind, fine_tune, learning_rates, clip=None):
    detector = load_weights(Detector(ConvNext("convnext_test")))
    detector.backbone.requires_grad_(fine_tune)
    parameters = [p for p in detector.parameters() if p.requires_grad]
    optimizer = {
        "adamw": lambda: torch.optim.AdamW(parameters),
        "sgd": lambda: torch.optim.SGD(parameters, momentum=0.9, nesterov=True),
    }[kind]()
    steps = []
    for learning_rate in learning_rates:
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        steps.append(step(detector, parameters, clip))
        optimizer.step()
    trained = {name: p for name, p in detector.named_parameters() if p.grad is not None}
    return {
        "name": name,
        "targets": TARGETS,
        "learningRates": learning_rates,
        "steps": steps,
        "weights": digest(trained, 8),
    }


write("native/gradients.json", gradients())
write(
    "native/training.json",
    [
        train("adamw, fine-tuned", "adamw", True, [1e-4] * 5),
        train("adamw, frozen", "adamw", False, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4]),
        train("sgd, fine-tuned", "sgd", True, [1e-4] * 5),
        train("sgd, frozen, clipped", "sgd", False, [1e-2] * 5, clip=3.0),
    ],
)
