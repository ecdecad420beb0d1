"""Writes test/fixtures/pth/*. Run with a Python that has torch (2.13 was used): python make_pth.py"""

import collections
import pickle

import torch
from torch import nn

from reference import FIXTURES

OUT = FIXTURES / "pth"


def count(dtype, *shape):
    """0, 1, 2 ... in row-major order"""
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


class Small(nn.Module):
    """A norm with two names, as in the official ConvNeXt."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 2)
        self.norm = nn.LayerNorm(2)
        self.norms = nn.ModuleList([nn.Identity(), self.norm])

    def forward(self, x):
        return self.norm(self.stem(x).mean([2, 3]))


def filled():
    model = Small()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(count(torch.float32, *parameter.shape) + index / 8)
    return model


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    dtypes = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8".split()
    tensors = collections.OrderedDict((name, count(getattr(torch, name), 2, 3)) for name in dtypes)
    tensors["bool"] = torch.tensor([True, False, True])
    base = count(torch.float32, 4, 5)
    tensors |= {"rows": base[1:3], "cell": base[2, 3], "column of one": base[:, :1][:1], "nothing": base[:0]}
    torch.save(tensors, OUT / "tensors.pth")

    model = filled()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0)
    model(torch.ones(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    state = {"epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict()}
    torch.save(state, OUT / "last_model.pth")
    torch.save({"model": dict(model.named_parameters())}, OUT / "parameters.pth")
    torch.save({"weight": base.t()}, OUT / "transposed.pth")
    torch.save(nn.LayerNorm(2), OUT / "module.pth")
    torch.save(model.state_dict(), OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    (OUT / "plain.pkl").write_bytes(pickle.dumps({"weight": [1.0, 2.0]}, protocol=2))


if __name__ == "__main__":
    main()
