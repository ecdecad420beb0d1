"""What torch reads in exported files, as JSON on standard output: python load_export.py CONVNEXT CLASSES MODEL.pth BACKBONE.pth

Both are loaded with weights_only=True, and with strict=True into modules of the article's and of the released names. Printed are, for
each file, the SHA-256 of every tensor, and what stands beside the state_dict. `test/lib/torch-export.test.ts` runs this.
"""

import collections
import json
import sys

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


def main():
    name, classes, model_path, backbone_path = sys.argv[1:]
    content = torch.load(model_path, weights_only=True)
    state = content.pop("model_state_dict")
    article = Article(name, int(classes))
    article.load_state_dict(state, strict=True)
    released = torch.load(backbone_path, weights_only=True, mmap=True)
    backbone = ReleasedConvNext(name)
    backbone.load_state_dict(released, strict=True)
    norm, again = (state[f"backbone.backbone_model.{key}.weight"] for key in ("norm", "norms.3"))
    report = {
        "beside": content,
        "ordered": isinstance(state, collections.OrderedDict),
        "shared": norm.data_ptr() == again.data_ptr(),
        "model": {key: digest(tensor) for key, tensor in article.state_dict().items()},
        "backbone": {key: digest(tensor) for key, tensor in backbone.state_dict().items()},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
