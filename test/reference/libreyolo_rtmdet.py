"""RTMDet of the package libreyolo, a port of mmdet's to plain PyTorch, with GroupNorm as mmdet has it on a ConvNeXt.

Importing the package would import every family of models and what they need. Only two of its files are wanted here, so the packages
around them are empty ones that know where these lie.
"""

import importlib.util
import sys
import types

from torch import nn

PACKAGES = ["libreyolo", "libreyolo.models", "libreyolo.models.rtmdet", "libreyolo.training", "libreyolo.utils"]


def empty_packages():
    root = importlib.util.find_spec("libreyolo").submodule_search_locations[0]
    for name in PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = ["/".join([root, *name.split(".")[1:]])]
        sys.modules[name] = package


def with_group_norm(module):
    """Every BatchNorm becomes a GroupNorm of 32 groups, or of 8 channels each where 32 do not go into them."""
    for child in list(module.modules()):
        if isinstance(getattr(child, "bn", None), nn.BatchNorm2d):
            channels = child.bn.num_features
            child.bn = nn.GroupNorm(32 if channels % 32 == 0 else max(1, channels // 8), channels, eps=1e-5)
    return module


def our_name(name):
    """mmdet's, as ours: it calls this norm `gn`."""
    return name.replace(".bn.", ".gn.")


empty_packages()
from libreyolo.models.rtmdet import loss, nn as layers  # noqa: E402, F401
