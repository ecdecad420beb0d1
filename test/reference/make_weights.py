"""Writes full-size weight files into a folder, and the SHA-256 of every tensor in them: python make_weights.py FOLDER

Too large to be stored: `test/lib/detector/torch-weights.test.ts` runs this where DINOV3_DET_TORCH_PYTHON names a Python with torch.
"""

import argparse
import collections
import hashlib
import json
import pathlib

import torch
from convnext import ConvNext
from torch import nn

BOXES = (4, 6, 6, 6, 4, 4)


def with_second_norm(state):
    """The official ConvNeXt registers its final norm twice."""
    both = collections.OrderedDict(state)
    for leaf in ("weight", "bias"):
        both[f"norms.3.{leaf}"] = both[f"norm.{leaf}"]
    return both


class SsdHead(nn.Module):
    """The names and shapes of torchvision's SSDHead on six entries of one map's channels."""

    def __init__(self, channels, classes):
        super().__init__()
        for name, values in (("classification_head", classes), ("regression_head", 4)):
            head = nn.Module()
            head.module_list = nn.ModuleList(nn.Conv2d(channels, boxes * values, 3, padding=1) for boxes in BOXES)
            self.add_module(name, head)


def article(backbone, classes):
    """What train_detection.py saves: torchvision's SSD around the hub's model, and the optimizer."""
    head = SsdHead(768, classes)
    optimizer = torch.optim.AdamW(head.parameters())
    sum(parameter.sum() for parameter in head.parameters()).backward()
    optimizer.step()
    state = collections.OrderedDict((f"backbone.backbone_model.{k}", v) for k, v in backbone.items())
    state.update((f"head.{k}", v) for k, v in head.state_dict().items())
    return {"epoch": 17, "model_state_dict": state, "optimizer_state_dict": optimizer.state_dict()}


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    plain = ConvNext("convnext_tiny").state_dict()
    released = with_second_norm(plain)
    classifier = {"head.weight": torch.randn(1000, 768), "head.bias": torch.randn(1000)}
    files = {
        "dinov3_convnext_tiny_pretrain.pth": (released, released),
        "convnext_tiny_1k.pth": ({"model": plain | classifier}, plain | classifier),
        "half.pth": ({k: v.bfloat16() for k, v in released.items()}, {k: v.bfloat16() for k, v in released.items()}),
    }
    best = article(released, classes=3)
    files["best_model.pth"] = (best, best["model_state_dict"])
    digests = {}
    for name, (content, state) in files.items():
        torch.save(content, folder / name)
        digests[name] = {key: digest(tensor) for key, tensor in state.items()}
    (folder / "digests.json").write_text(json.dumps(digests))


if __name__ == "__main__":
    main()
