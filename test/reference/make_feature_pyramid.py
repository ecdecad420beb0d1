"""native/feature_pyramid.json: torchvision's FeaturePyramidNetwork, with the layers below and above it written in torch.nn."""

import re

import torch
from torch import nn
from torch.nn.functional import gelu

import torchvision_ops  # noqa: F401
from torchvision.ops import FeaturePyramidNetwork

from reference import load_weights, packed, pattern, weight, write


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels // 2, 2, 2)
        self.norm = ChannelNorm(channels // 2, eps=1e-6)

    def forward(self, x):
        return gelu(self.norm(self.deconv(x)))


class Extra(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 2, 1)
        self.reduce_norm = ChannelNorm(channels // 2, eps=1e-6)
        self.conv = nn.Conv2d(channels // 2, channels, 3, 2, 1)
        self.norm = ChannelNorm(channels, eps=1e-6)

    def forward(self, x):
        return gelu(self.norm(self.conv(gelu(self.reduce_norm(self.reduce(x))))))


class Pyramid(nn.Module):
    def __init__(self, upsamples, extras):
        super().__init__()
        self.upsamples = nn.ModuleList(Upsample(channels) for channels in upsamples)
        self.extras = nn.ModuleList(Extra(channels) for channels in extras)


def fused(maps):
    """torchvision's layers under our names, which have no index for its sequences of one."""
    fpn = FeaturePyramidNetwork([each.shape[1] for each in maps], maps[-1].shape[1])
    with torch.no_grad():
        for name, parameter in fpn.named_parameters():
            ours = re.sub(r"^(\w+\.\d+)\.0\.", r"\1.", name)
            parameter.copy_(weight(ours, tuple(parameter.shape)))
    return list(fpn({str(k): each for k, each in enumerate(maps)}).values())


def case(shapes, image_height, fuse=False, upsamples=(), extras=()):
    maps = [pattern(f"map{k}", (1, *shape), 2) for k, shape in enumerate(shapes)]
    pyramid = load_weights(Pyramid(upsamples, extras))
    for layer in pyramid.upsamples:
        maps.insert(0, layer(maps[0]))
    if fuse:
        maps = fused(maps)
    for layer in pyramid.extras:
        maps.append(layer(maps[-1]))
    return {
        "maps": shapes,
        "image_height": image_height,
        "fuse": fuse,
        "outputs": [{"shape": list(each.shape), "values": packed(each.detach())} for each in maps],
    }


# Odd numbers of cells, where a map is not twice the next.
MAPS = [(5, 11, 7), (6, 6, 4), (8, 4, 2)]
write(
    "native/feature_pyramid.json",
    {
        "several maps": case(MAPS, 88, extras=[8]),
        "several maps, fused": case(MAPS, 88, fuse=True, extras=[8]),
        "one map of stride 16": case([(12, 5, 3)], 80, upsamples=[12], extras=[12]),
        "one map of stride 32, fused": case([(12, 3, 2)], 96, fuse=True, upsamples=[12, 6]),
    },
)
