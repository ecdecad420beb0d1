"""What the scripts of this folder share: numbers that both sides can make, and how golden files are written."""

import base64
import json
import os
from pathlib import Path

import numpy as np
import torch

STORED = Path(__file__).parent.parent / "fixtures"
# `npm run test:parity` has everything written into a folder of its own, where nothing need be small.
LIVE = "DINOV3_DET_FIXTURES" in os.environ
FIXTURES = Path(os.environ.get("DINOV3_DET_FIXTURES", STORED))
GOLDEN = FIXTURES / "native"


def uniform(name, shape):
    """Numbers in [-.5, .5) that follow from `name` alone; `uniform` in test/support/named-values.ts makes the same."""
    seed = np.uint64(2166136261)
    mask = np.uint64(0xFFFFFFFF)
    for byte in name.encode():  # FNV-1a
        seed = ((seed ^ np.uint64(byte)) * np.uint64(16777619)) & mask
    x = np.arange(int(np.prod(shape)), dtype=np.uint64)
    x = (x * np.uint64(0x9E3779B1) + seed) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(0x85EBCA6B)) & mask
    x ^= x >> np.uint64(13)
    return (x.astype(np.float64) / 2**32 - 0.5).reshape(shape)


def pattern(name, shape, scale=1.0, offset=0.0):
    return torch.from_numpy((offset + scale * uniform(name, shape)).astype(np.float32))


def picture(name, width, height):
    """RGB, uint8, [H, W, 3]."""
    return np.floor((uniform(name, (height, width, 3)) + 0.5) * 256).astype(np.uint8)


def weight(name, shape):
    """A value for the parameter `name` that lets every layer count: `weight` in test/support/named-values.ts."""
    if name.endswith(".gamma"):
        return pattern(name, shape, 0.5, 0.5)
    if len(shape) == 1:
        return pattern(name, shape, 0.5, 1.0) if name.endswith(".weight") else pattern(name, shape, 0.2)
    return pattern(name, shape, (12 / np.prod(shape[1:])) ** 0.5)


def load_weights(module):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(weight(name, tuple(parameter.shape)))
    return module


def compact(value, digits=8):
    """Tensors and numbers for JSON, with as many digits as float32 has."""
    if isinstance(value, dict):
        return {key: compact(each, digits) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [compact(each, digits) for each in value]
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return compact(value.tolist(), digits)
    if isinstance(value, float):
        rounded = float(f"{value:.{digits}g}")
        return int(rounded) if rounded == int(rounded) else rounded
    return value


def packed(values):
    """float32, little-endian, base64; `unpack` in test/native/support.ts reads it."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()


def digest(tensors, samples):
    """What tells a large tensor from another: values from all over it, and its products with patterns, to which each adds.

    `expectDigest` in test/native/support.ts compares. Live, every value is there.
    """
    digests = {}
    for name, tensor in tensors.items():
        values = tensor.detach().flatten().numpy()
        count = len(values)
        places = np.floor((uniform(f"{name}.samples", samples) + 0.5) * count).astype(np.int64)
        digests[name] = {
            "largest": np.abs(values).max().item(),
            "samples": packed(values if LIVE or count <= samples else values[places]),
            "products": [values.astype(np.float64) @ uniform(f"{name}.product{i}", count) for i in range(2)],
        }
    return digests


def write(name, value, digits=8):
    """name: the path below the fixtures"""
    path = FIXTURES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(compact(value, digits), separators=(",", ":")) + "\n")
    print(f"{name}: {path.stat().st_size} bytes")
