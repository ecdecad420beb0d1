"""Writes test/fixtures/torchscript/*.pt. Run with a Python that has torch (2.13 was used): python torchscript_fixtures.py"""

import warnings
import zipfile

import torch
from torch import Tensor, nn

from archive import drop_debug_records
from reference import FIXTURES

warnings.simplefilter("ignore")
OUT = FIXTURES / "torchscript"


class OneMap(nn.Module):
    """[N, 3, H, W] -> [N, 16, H/32, W/32]"""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.down = nn.Conv2d(4, 16, 8, stride=8, groups=4)

    def forward(self, x):
        return self.down(self.norm(self.stem(x)).relu())


class ThreeMaps(nn.Module):
    """[N, 3, H, W] -> maps of 4, 8 and 16 channels at strides 8, 16 and 32"""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 8, stride=8)
        self.down = nn.ModuleList([nn.Conv2d(4, 8, 2, stride=2), nn.Conv2d(8, 16, 2, stride=2)])

    def forward(self, x) -> tuple[Tensor, Tensor, Tensor]:
        c3 = self.stem(x).relu()
        c4 = self.down[0](c3).relu()
        return c3, c4, self.down[1](c4)


class WrongRank(nn.Module):
    """[N, 3, H, W] -> [N, 8]"""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, x):
        return self.stem(x).mean([2, 3])


class UnlistedOperator(nn.Module):
    """[N, 3, H, W] -> [N, 3, H/32, W/32] by an operator that does no harm and is not on the list of allowed ones."""

    def forward(self, x):
        return torch.digamma(nn.functional.avg_pool2d(x, 32).abs() + 1)


class SetState(nn.Module):
    """[N, 3, H, W] -> [N, 3, H/32, W/32], and does something at load: here it only prints, others write files."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 32) * self.scale

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return self.scale, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        print("ran at load")
        self.scale = state[0]
        self.training = state[1]


def save(name, model, traced=False):
    """Scripted, or traced, which writes other code."""
    model.eval()
    module = torch.jit.trace(model, torch.zeros(1, 3, 64, 64)) if traced else torch.jit.script(model)
    path = OUT / f"{name}.pt"
    module.save(str(path))
    drop_debug_records(path)
    print(path.name, path.stat().st_size)


def rewrite(source, target, path, change):
    """A copy of an archive in which one record is another."""
    with zipfile.ZipFile(OUT / f"{source}.pt") as old, zipfile.ZipFile(OUT / f"{target}.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith(path) else content)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    save("one_map", OneMap())
    save("three_maps", ThreeMaps())
    save("three_maps_traced", ThreeMaps(), traced=True)
    save("wrong_rank", WrongRank())
    save("set_state", SetState())
    save("unlisted_operator", UnlistedOperator())
    # aten::save cannot be reached from Python source, but from the code in an archive it can: this file, loaded and run, writes one.
    line = b'    _9 = torch.save(x, "written-by-a-model")\n    return '
    rewrite("wrong_rank", "writes_file", "code/__torch__.py", lambda code: code.replace(b"    return ", line, 1))
