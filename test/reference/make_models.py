"""convnext.json, training.json: a forward pass, state_dict names, and whole training runs by torch.optim."""

import importlib.util
import sys

import torch
from torch import nn
from torchvision.models.detection.ssd import SSDHead

import ssd
from convnext import SIZES, ConvNext
from reference import load_weights, pattern, picture, write

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
CLASSES = 4


class Detector(nn.Module):
    """The article's model: one map, a head of six entries."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = SSDHead([192] * 6, [4, 6, 6, 6, 4, 4], CLASSES)

    def forward(self, pixels):
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        return self.head([self.backbone(images)])


def train(name, optimizer, fine_tune, learning_rates, clip=None):
    detector = load_weights(Detector(ConvNext("convnext_test")))
    detector.backbone.requires_grad_(fine_tune)
    parameters = [p for p in detector.parameters() if p.requires_grad]
    optimizer = {
        "adamw": lambda: torch.optim.AdamW(parameters),
        "sgd": lambda: torch.optim.SGD(parameters, momentum=0.9, nesterov=True),
    }[optimizer]()
    anchors = ssd.default_boxes([(2, 2)], 64, 64)
    pixels = torch.stack([torch.from_numpy(picture(f"picture{i}", 64, 64)) for i in range(2)]).numpy()
    targets = [
        {"boxes": torch.tensor([[9.0, 10, 23, 22], [30, 35, 63, 60]]), "labels": torch.tensor([1, 3])},
        {"boxes": torch.tensor([[40.5, 4.25, 60, 27]]), "labels": torch.tensor([2])},
    ]
    steps = []
    for learning_rate in learning_rates:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.zero_grad()
        losses, matches = ssd.losses(detector(pixels), targets, anchors)
        loss = sum(losses.values())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip is not None else float("inf"))
        optimizer.step()
        steps.append(
            {
                "loss": loss.item(),
                "boxLoss": losses["bbox_regression"].item(),
                "classLoss": losses["classification"].item(),
                "gradientNorm": norm.item(),
                "positives": sum((m >= 0).sum().item() for m in matches),
            }
        )
    return {"name": name, "targets": targets, "learningRates": learning_rates, "steps": steps}


def official(path):
    """The released model class, from a file of the facebookresearch/dinov3 repository."""
    spec = importlib.util.spec_from_file_location("official", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ConvNeXt


def golden_convnext(reference_class):
    with torch.device("meta"):
        models = {name: reference_class(depths=list(depths), dims=list(dims)) for name, (depths, dims) in SIZES.items()}
    names = {name: list(p.shape) for name, p in models["convnext_tiny"].state_dict().items() if "norms.3." not in name}

    model = load_weights(ConvNext("convnext_test"))
    depths, dims = SIZES["convnext_test"]
    reference = reference_class(depths=list(depths), dims=list(dims))
    reference.load_state_dict(model.state_dict() | {f"norms.3.{k}": v for k, v in model.norm.state_dict().items()})
    images = pattern("images", (2, 3, 64, 96), 4.0)
    with torch.no_grad():
        output = model(images)
        (expected,) = reference.get_intermediate_layers(images, n=1, reshape=True, norm=True)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-4)
    return {
        "shape": list(output.shape),
        "output": output.flatten(),
        "tiny": names,
        "counts": {name: sum(p.numel() for p in each.parameters()) for name, each in models.items()},
    }


write("convnext.json", golden_convnext(official(sys.argv[1])), 7)
write(
    "training.json",
    [
        train("adamw, fine-tuned", "adamw", True, [1e-4] * 5),
        train("adamw, frozen", "adamw", False, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4]),
        train("sgd, fine-tuned", "sgd", True, [1e-4] * 5),
        train("sgd, frozen, clipped", "sgd", False, [1e-2] * 5, clip=3.0),
    ],
)
