"""DINOv3's ConvNeXt, written down again from the description in its paper and the names in its released state_dict."""

import torch
from torch import nn
from torch.nn import functional

SIZES = {
    "convnext_test": ((1, 1, 2, 1), (24, 48, 96, 192)),
    "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "convnext_large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}


class ChannelsFirstNorm(nn.LayerNorm):
    """Over the channels of [N, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """[N, 3, H, W] -> the last stage through the final norm, [N, C, H/32, W/32]."""

    def __init__(self, name):
        super().__init__()
        depths, dims = SIZES[name]
        stem = nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), ChannelsFirstNorm(dims[0], eps=1e-6))
        later = [
            nn.Sequential(ChannelsFirstNorm(a, eps=1e-6), nn.Conv2d(a, b, 2, 2)) for a, b in zip(dims, dims[1:])
        ]
        self.downsample_layers = nn.ModuleList([stem, *later])
        self.stages = nn.ModuleList(nn.Sequential(*(Block(c) for _ in range(n))) for n, c in zip(depths, dims))
        self.norm = ChannelsFirstNorm(dims[-1], eps=1e-6)

    def forward(self, x):
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = stage(downsample(x))
        return self.norm(x)


class Taps(ConvNext):
    """Of the smallest, the maps of strides 8, 16 and 32, each through a norm of its own."""

    def __init__(self):
        super().__init__("convnext_test")
        self.norms = nn.ModuleList([nn.Identity(), *(ChannelsFirstNorm(c, eps=1e-6) for c in (48, 96))])

    def forward(self, x):
        maps = {}
        for i, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(downsample(x))
            maps[str(i)] = (self.norms[i] if i < 3 else self.norm)(x)
        maps.pop("0")
        return maps
