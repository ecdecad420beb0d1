"""What torch reads in exported files, as JSON on standard output:
python load_export.py CONVNEXT CLASSES MODEL.pth BACKBONE.pth DETECTOR.pt BACKBONE.pt PICTURES

The .pth are loaded with weights_only=True, and with strict=True into modules of the article's and of the released names. Printed are,
for each file, the SHA-256 of every tensor, and what stands beside the state_dict. The .pt are TorchScript: printed are what the detector
finds in PICTURES, packed RGB of its size, all at once and one by one, and how far the backbone is from the module of the .pth.
`test/lib/detector/torch-export.test.ts` runs this.
"""

import collections
import json
import sys

import numpy
import torch
from convnext import SIZES, ConvNext
from make_weights import SsdHead, digest
from torch import nn


class ReleasedConvNext(ConvNext):
    """With the second registration of the final norm, as the official code has it."""

    def __init__(self, name):
        super().__init__(name)
        self.norms = nn.ModuleList([*(nn.Identity() for _ in range(3)), self.norm])


class Article(nn.Module):
    """The modules of train_detection.py that have tensors, by their names."""

    def __init__(self, name, classes):
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.backbone_model = ReleasedConvNext(name)
        self.head = SsdHead(SIZES[name][1][-1], classes)


def run_detector(path, pictures_path, score_threshold=None):
    detector = torch.jit.load(path).eval()
    if score_threshold is not None:
        detector.score_threshold = score_threshold
    shape = (-1, detector.height, detector.width, 3)
    pictures = torch.from_numpy(numpy.fromfile(pictures_path, dtype=numpy.uint8)).reshape(shape)
    images = pictures.permute(0, 3, 1, 2) / 255
    batch = detector(images)
    # More calls: TorchScript compiles anew after the first ones.
    alone = [detector(images[i : i + 1])[0] for i in range(len(images))]
    # A user's own threshold, and a frozen copy.
    detector.score_threshold = batch[0]["scores"][:5].min().item()
    frozen = torch.jit.freeze(detector)
    return {
        "classes": detector.classes,
        "state": {key: digest(tensor) for key, tensor in detector.state_dict().items()},
        "batch": [as_lists(image) for image in batch],
        "alone": [as_lists(image) for image in alone],
        "first": as_lists(frozen(images)[0]),
        "nothing": detector(images[:0]),
        "types": {key: str(tensor.dtype) for key, tensor in batch[0].items()},
    }


def as_lists(image):
    return {key: tensor.flatten().tolist() for key, tensor in image.items()}


def main():
    name, classes, model_path, backbone_path, detector_path, script_path, pictures_path = sys.argv[1:]
    content = torch.load(model_path, weights_only=True)
    state = content.pop("model_state_dict")
    article = Article(name, int(classes))
    article.load_state_dict(state, strict=True)
    released = torch.load(backbone_path, weights_only=True, mmap=True)
    backbone = ReleasedConvNext(name)
    backbone.load_state_dict(released, strict=True)
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        difference = (torch.jit.load(script_path)(images) - backbone(images)).abs().max().item()
    norm, again = (state[f"backbone.backbone_model.{key}.weight"] for key in ("norm", "norms.3"))
    report = {
        "beside": content,
        "ordered": isinstance(state, collections.OrderedDict),
        "shared": norm.data_ptr() == again.data_ptr(),
        "model": {key: digest(tensor) for key, tensor in article.state_dict().items()},
        "backbone": {key: digest(tensor) for key, tensor in backbone.state_dict().items()},
        "difference": difference,
        "detector": run_detector(detector_path, pictures_path),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
