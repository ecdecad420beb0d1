"""Writes test/fixtures/torchscript/every_form.pt. Run with a Python that has torch (2.13 was used): python torchscript_forms.py"""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archive import drop_debug_records
from reference import FIXTURES

warnings.simplefilter("ignore")
PATH = FIXTURES / "torchscript" / "every_form.pt"


class Pair(NamedTuple):
    count: int
    map: Tensor


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class PlusOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def half(x: Tensor) -> Tensor:
    return x / 2


class EveryForm(nn.Module):
    """[N, 3, H, W] -> [N, 3, H/32, W/32], by as many forms of the language as a model could use."""

    layer: Layer

    def __init__(self):
        super().__init__()
        self.layer = PlusOne()
        self.layers = nn.ModuleList([PlusOne(), PlusOne()])
        self.names = {"a": 1}
        self.calls = 0

    def numbers(self, count: int) -> int:
        some = [3, 1, 2]
        for i in range(count):
            if i == 2:
                continue
            some.append(i)
        while len(some) > 4:
            some.pop()
            if len(some) == 5:
                break
        some[0] = 7
        del some[1]
        total = sum(some) + max(some) + min(some) + max(count, 2) + abs(-count) + divmod(count, 2)[1] + hash(count) % 2
        doubled = sorted([2 * value for value in some])
        squares = {value: value * value for value in some}
        for one, other in zip(some, doubled):
            total += one * other + squares[one]
        if 7 in squares and all([True]) and any([True]) and not bool(total == 0):
            total += self.names["a"] + int(round(float(total)) ** 2.0) + ord("a") + len(list(squares.keys()))
        text = f"{total} of {count}" + "abc"[0] + chr(65) + hex(3) + oct(3) + bin(3) + str(1.5)
        return total + len(text)

    def forward(self, x):
        x = nn.functional.avg_pool2d(x, 32)
        assert x.dim() == 4, "pictures"
        n, c = x.shape[0], x.shape[1]
        self.calls = self.calls + self.numbers(n)
        for i, layer in enumerate(self.layers):
            x = layer(x) * i
        x = self.layer.forward(half(x)) + self.layers[0](x)
        x[:, 0] = x[:, 1]
        x[0, 0, 0, 0] = 1.0
        parts = torch.split(x, 1, dim=1)
        first, second, third = x.unbind(1)
        x = torch.stack([first, second, third], 1) + torch.cat(parts, 1)
        both = (n, c, x)
        pair = Pair(both[0], x)
        x = pair.map + pair.count
        x = x + (1 if c == 3 else 2)
        thing: Any = x
        if isinstance(thing, Tensor):
            x = thing
        maybe = {"x": x}.get("x")
        if maybe is not None and x.dtype == torch.float32 and x.device == maybe.device:
            x = maybe - (x.sum().item() if x.numel() == 0 else 0.0)
        return x[..., :].clone()


if __name__ == "__main__":
    torch.jit.script(EveryForm().eval()).save(str(PATH))
    drop_debug_records(PATH)
    print(PATH.name, PATH.stat().st_size)
