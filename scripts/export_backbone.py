"""Exports a DINOv3 backbone, ConvNeXt or ViT, as a TorchScript file that dinov3-det takes as a backbone.

    python scripts/export_backbone.py --repo dinov3 --model dinov3_vits16 --weights dinov3_vits16_pretrain_lvd1689m-08c60483.pth \
        --out vits16.pt --size 640 640

--repo is a local copy of https://github.com/facebookresearch/dinov3; beyond it only torch and numpy are needed.
The file's forward([N, 3, H, W]), normalised images, gives the last map [N, C, H/s, W/s] with s = 32 (ConvNeXt) or 16 (ViT), or with
--maps M a tuple of the last M: stages of a ConvNeXt, blocks of a ViT (whose maps all have stride 16). They are those of
get_intermediate_layers(norm=True, reshape=True). H and W must be multiples of s.
The written file is run against the eager model, also at another batch and another size; a difference above 1e-4 is an error.
"""

import argparse
import pathlib
import pickle
import sys
import warnings

import torch
from torch import Tensor, nn

CONVNEXTS = [f"dinov3_convnext_{size}" for size in ("tiny", "small", "base", "large")]
VITS = [f"dinov3_vit{size}" for size in ("s16", "s16plus", "b16", "l16", "l16plus", "h16plus", "7b16")]
TOLERANCE = 1e-4


class Rope(nn.Module):
    """The rotary position embedding of DINOv3 in evaluation. The original writes the device it was traced on into the file."""

    def __init__(self, original: nn.Module):
        super().__init__()
        if original.normalize_coords != "separate":
            raise SystemExit(f"Cannot export coordinates normalised by {original.normalize_coords!r}, only by 'separate'")
        self.register_buffer("periods", original.periods)

    def forward(self, *, H: int, W: int) -> tuple[Tensor, Tensor]:
        # (0.5, 1.5, ...): exact in float32
        rows = (self.periods.new_ones(H).cumsum(0) - 0.5) / H  # [H]
        columns = (self.periods.new_ones(W).cumsum(0) - 0.5) / W  # [W]
        coords = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)  # [HW, 2]
        angles = 2 * torch.pi * (2 * coords - 1)[:, :, None] / self.periods  # [HW, 2, D/4]
        angles = angles.flatten(1, 2).tile(2)  # [HW, D]
        return angles.sin(), angles.cos()


class Maps(nn.Module):
    """[N, 3, H, W] -> the last map, or a tuple of the last `count`"""

    def __init__(self, model: nn.Module, count: int):
        super().__init__()
        self.model = model
        self.count = count

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        maps = self.model.get_intermediate_layers(images, n=self.count, reshape=True, norm=True)
        return maps[0] if self.count == 1 else maps


def build(repo: pathlib.Path, name: str, weights: pathlib.Path | None) -> nn.Module:
    """The official model, in evaluation."""
    if not (repo / "dinov3" / "hub" / "backbones.py").is_file():
        raise SystemExit(f"No DINOv3 repository in {repo}: expected dinov3/hub/backbones.py there")
    sys.path.insert(0, str(repo))
    import dinov3.hub.backbones as hub  # not hubconf.py: it needs the packages of every task

    model = getattr(hub, name)(pretrained=False)
    if weights is None:
        # The usual 1e-6 and 1e-5 would hide every block from the check.
        for key, parameter in model.named_parameters():
            if key.endswith("gamma"):
                nn.init.constant_(parameter, 0.1)
    else:
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise SystemExit(f"{weights} is not a .pth of weights alone, as Meta gives it") from error
        except (OSError, RuntimeError) as error:
            raise SystemExit(f"Cannot read the weights {weights}: {error}") from error
        if "local_cls_norm.weight" not in model.state_dict():
            # ViT-L of satellite images has a norm that only its pretraining used.
            state = {key: value for key, value in state.items() if not key.startswith("local_cls_norm.")}
        try:
            model.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise SystemExit(f"{weights} does not fit {name}: {str(error)[:500]}") from error
    return model.float().eval()


def as_tuple(maps: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return maps if isinstance(maps, tuple) else (maps,)


def difference(expected: Tensor | tuple[Tensor, ...], found: Tensor | tuple[Tensor, ...]) -> float:
    """The largest absolute difference over all maps."""
    pairs = list(zip(as_tuple(expected), as_tuple(found), strict=True))
    if any(a.shape != b.shape or not torch.isfinite(b).all() for a, b in pairs):
        return float("inf")
    return max((a - b).abs().max().item() for a, b in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", required=True, type=pathlib.Path, help="local DINOv3 repository")
    parser.add_argument("--model", required=True, choices=CONVNEXTS + VITS, metavar="NAME", help=", ".join(CONVNEXTS + VITS))
    parser.add_argument("--weights", type=pathlib.Path, help="Meta's .pth of this model (default: random)")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="TorchScript file to write")
    parser.add_argument("--size", nargs=2, type=int, default=(640, 640), metavar=("W", "H"), help="to trace at (default: 640 640)")
    parser.add_argument("--maps", type=int, default=1, help="number of maps, counted from the last (default: 1)")
    args = parser.parse_args()

    width, height = args.size
    stride = 32 if args.model in CONVNEXTS else 16
    if min(width, height) < stride or width % stride or height % stride:
        parser.error(f"--size: expected multiples of {stride} for {args.model}, found {width} {height}")
    most = 4 if args.model in CONVNEXTS else 12
    if not 1 <= args.maps <= most:
        parser.error(f"--maps: expected 1 to {most} for {args.model}, found {args.maps}")

    torch.manual_seed(0)
    maps = Maps(build(args.repo, args.model, args.weights), args.maps)
    images = torch.randn(1, 3, height, width)
    others = torch.randn(2, 3, height + stride, width + 2 * stride)
    with torch.no_grad():
        expected, expected_others = maps(images), maps(others)
        if args.model in VITS:
            maps.model.rope_embed = Rope(maps.model.rope_embed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # shapes are compared below
            warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what LibTorch loads
            traced = torch.jit.trace(maps, images, check_trace=False)
        traced.save(str(args.out))
        loaded = torch.jit.load(str(args.out), map_location="cpu")
        found = difference(expected, loaded(images))
        try:
            dynamic = difference(expected_others, loaded(others)) <= TOLERANCE
        except RuntimeError:
            dynamic = False

    print(f"max abs difference to the eager model: {found:.3g}")
    if found > TOLERANCE:
        args.out.unlink()
        raise SystemExit(f"The export differs from the eager model by more than {TOLERANCE:g}; {args.out} is not kept")
    print("batch and image size: " + ("dynamic" if dynamic else f"fixed at 1 and {width} x {height}"))
    for number, map_ in enumerate(as_tuple(expected)):
        print(f"map {number}: {' x '.join(str(n) for n in map_.shape[1:])} at {width} x {height}")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
