"""torchscript/*.pt: tiny TorchScript backbones, and what is wrong with a few of them."""

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from archive import drop_debug_records
from reference import GOLDEN, load_weights

FOLDER = GOLDEN / "torchscript"


class OneMap(nn.Module):
    """Stride 32, 8 channels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)

    def one_map(self, x: Tensor) -> Tensor:
        return self.conv(avg_pool2d(x, 32))

    def forward(self, x: Tensor) -> Tensor:
        return self.one_map(x)


class TupleOfMaps(nn.Module):
    """Strides 16 and 32, 4 and 6 channels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(4, 6, 2, 2)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        first = self.first(avg_pool2d(x, 16))
        return first, self.second(first)


class ListOfMaps(TupleOfMaps):
    def forward(self, x: Tensor) -> List[Tensor]:
        first = self.first(avg_pool2d(x, 16))
        return [first, self.second(first)]


class Shared(nn.Module):
    """One module under two names, used twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.norm = nn.Conv2d(4, 4, 1)
        self.norms = nn.ModuleList([self.norm])

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.stem(avg_pool2d(x, 32)))
        for norm in self.norms:
            y = norm(y)
        return y


class BatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(avg_pool2d(x, 32)))


class OptionalMap(OneMap):
    def forward(self, x: Tensor) -> Optional[Tensor]:
        return self.one_map(x)


class WrongRank(OneMap):
    def forward(self, x: Tensor) -> Tensor:
        return self.one_map(x).flatten(1)


class WrongType(OneMap):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        return {"map": self.one_map(x)}


class NotFloating(OneMap):
    def forward(self, x: Tensor) -> Tensor:
        return self.one_map(x).to(torch.int64)


class NoMap(OneMap):
    def forward(self, x: Tensor) -> List[Tensor]:
        empty: List[Tensor] = []
        return empty


class Raises(OneMap):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) > 0:
            raise ValueError("this backbone always fails")
        return self.one_map(x)


FOLDER.mkdir(parents=True, exist_ok=True)
MODULES = {
    "one_map": OneMap,
    "tuple_of_maps": TupleOfMaps,
    "list_of_maps": ListOfMaps,
    "shared": Shared,
    "batch_norm": BatchNorm,
    "optional_map": OptionalMap,
    "wrong_rank": WrongRank,
    "wrong_type": WrongType,
    "not_floating": NotFloating,
    "no_map": NoMap,
    "raises": Raises,
}
for name, module in MODULES.items():
    path = FOLDER / f"{name}.pt"
    torch.jit.script(load_weights(module()).eval()).save(str(path))
    drop_debug_records(path)
    print(f"{path.name}: {path.stat().st_size} bytes")
