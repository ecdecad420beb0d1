"""convnext.json: features of every ConvNeXt, and the names of its parameters: python make_convnext.py [CONVNEXT.py]

CONVNEXT.py is dinov3/models/convnext.py of the DINOv3 repository. With it, the answers are proved to be the official model's too.
"""

import importlib.util
import sys

import torch

from convnext import SIZES, ConvNext
from reference import load_weights, packed, pattern, write

# Batch, height and width: two cells are enough to tell rows from columns.
INPUTS = {name: (1, 3, 64, 32) for name in SIZES} | {"convnext_test": (2, 3, 64, 96)}


def official_class(path):
    spec = importlib.util.spec_from_file_location("official", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ConvNeXt


def check_official(official, name, model, images, output):
    """The official code registers the final norm twice."""
    depths, dims = SIZES[name]
    with torch.device("meta"):
        reference = official(depths=list(depths), dims=list(dims))
    state = model.state_dict() | {f"norms.3.{k}": v for k, v in model.norm.state_dict().items()}
    reference.load_state_dict(state, assign=True)
    (expected,) = reference.get_intermediate_layers(images, n=1, reshape=True, norm=True)
    print(f"{name}: largest difference to the official model {(output - expected).abs().max():.1e}")
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def features(name, official):
    model = load_weights(ConvNext(name))
    images = pattern("images", INPUTS[name], 4.0)
    output = model(images)
    if official:
        check_official(official, name, model, images, output)
    return {"input": INPUTS[name], "shape": output.shape, "output": packed(output)}


def main():
    official = official_class(sys.argv[1]) if len(sys.argv) > 1 else None
    with torch.device("meta"):
        models = {name: ConvNext(name) for name in SIZES}
    golden = {
        "features": {name: features(name, official) for name in SIZES},
        "tiny": {name: list(p.shape) for name, p in models["convnext_tiny"].state_dict().items()},
        "counts": {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()},
    }
    write("native/convnext.json", golden)


if __name__ == "__main__":
    main()
