"""native/dense.json: the neck, head, assigner and losses of RTMDet, and all of them on our ConvNeXt with every gradient."""

import torch

from convnext import Taps
from libreyolo_rtmdet import layers, loss, our_name, with_group_norm
from reference import digest, packed, pattern, picture, uniform, weight, write

STRIDES = (8, 16, 32)
WIDTH, HEIGHT = 128, 96
CLASSES = 3  # without the background


def load(module, prefix=""):
    """Weights that follow from our names; what several layers share has the name of the first."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(weight(prefix + our_name(name), tuple(parameter.shape)))
    return module


def make_neck(channels, width, blocks):
    return with_group_norm(layers.CSPNeXtPAFPN(list(channels), width, num_csp_blocks=blocks))


def make_head(width):
    return with_group_norm(layers.RTMDetSepBNHead(CLASSES, width, width, exp_on_reg=True))


def neck_case(channels, blocks, side):
    neck = load(make_neck(channels, channels[0], blocks))
    maps = [pattern(f"map{k}", (1, c, side // 2**k, side // 2**k), 2.0) for k, c in enumerate(channels)]
    outputs = {f"P{k}": out for k, out in enumerate(neck(maps))}
    return {"channels": channels, "side": side, "outputs": digest(outputs, 40)}


def rows(maps):
    """[N, columns, h, w] of each map -> [N, A, columns]"""
    return torch.cat([m.permute(0, 2, 3, 1).flatten(1, 2) for m in maps], 1)


def strides_of(maps):
    return torch.cat([torch.full((m.shape[2] * m.shape[3], 1), float(s)) for m, s in zip(maps, STRIDES)])


def head_case(width, side):
    head = load(make_head(width))
    maps = [pattern(f"map{k}", (2, width, side // 2**k, side // 2**k), 2.0) for k in range(3)]
    logits, distances = head(maps)
    codes = (rows(distances) / strides_of(distances)).log()
    return {"channels": width, "side": side, "output": digest({"logits": rows(logits), "codes": codes}, 40)}


def random_batch(index):
    """Three images of 160 x 128, with up to eleven objects each and some with none."""
    images, grids = 3, [(16, 20), (8, 10), (4, 5)]
    points = sum(h * w for h, w in grids)
    name = f"dense{index}"
    logits = pattern(f"{name}.logits", (images, points, 5), 5.0, -2.0)
    codes = pattern(f"{name}.codes", (images, points, 4), 3.0, 0.3)
    counts = [int(12 * (u + 0.5)) if u > -0.3 else 0 for u in uniform(f"{name}.counts", (images,))]
    boxes, labels = [], []
    for i, count in enumerate(counts):
        u = torch.from_numpy(uniform(f"{name}.boxes{i}", (count, 5)) + 0.5)
        low = u[:, :2] * torch.tensor([150, 118])
        size = 9 + (u[:, 2:4] ** 2) * torch.tensor([120, 90])
        boxes.append(torch.cat([low, low + size], 1).float())
        labels.append((u[:, 4] * 5).long())
    return grids, logits, codes, boxes, labels


def levels(values, grids):
    """[N, A, columns] -> [N, columns, h, w] of each map"""
    parts = values.split([h * w for h, w in grids], 1)
    return [part.transpose(1, 2).unflatten(2, grid) for part, grid in zip(parts, grids)]


def assigner_case(index):
    grids, logits, codes, boxes, labels = random_batch(index)
    priors = loss.MlvlPointGenerator(STRIDES).grid_priors(grids, device="cpu", dtype=torch.float32)
    logits.requires_grad_()
    codes.requires_grad_()
    distances = codes.exp() * priors[:, 2:3]
    criterion = loss.RTMDetLoss(5, distributed_normalize=False)
    out = criterion(levels(logits, grids), levels(distances, grids), boxes, labels)
    out["total_loss"].backward()
    return {
        "boxes": [packed(each.flatten()) for each in boxes],
        "labels": labels,
        "classLoss": out["loss_cls"].item(),
        "boxLoss": out["loss_bbox"].item(),
        "gradients": digest({f"dense{index}.logits": logits.grad, f"dense{index}.codes": codes.grad}, 20),
    }


class Detector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Taps()
        self.neck = make_neck((48, 96, 192), 48, 1)
        self.head = make_head(48)

    def forward(self, x):
        return self.head(self.neck(list(self.backbone(x).values())))


def whole_case():
    detector = load(Detector())
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    pictures = [torch.from_numpy(picture(f"picture{n}", WIDTH, HEIGHT)).permute(2, 0, 1) for n in range(3)]
    logits, distances = detector(torch.stack([(p.float() / 255 - mean) / std for p in pictures]))
    boxes = [[[9, 10, 43, 52], [30, 35, 123, 90]], [], [[60.5, 4.25, 90, 47]]]
    labels = [[1, 3], [], [2]]
    criterion = loss.RTMDetLoss(CLASSES, distributed_normalize=False)
    out = criterion(
        logits,
        distances,
        [torch.tensor(each, dtype=torch.float32).reshape(-1, 4) for each in boxes],
        [torch.tensor(each, dtype=torch.int64) - 1 for each in labels],
    )
    out["total_loss"].backward()
    named = {our_name(name): parameter for name, parameter in detector.named_parameters()}
    norm = torch.stack([p.grad.norm() for p in named.values()]).norm()
    return {
        "shapes": {name: list(p.shape) for name, p in named.items()},
        "targets": [{"boxes": b, "labels": n} for b, n in zip(boxes, labels)],
        "classLoss": out["loss_cls"].item(),
        "boxLoss": out["loss_bbox"].item(),
        "gradientNorm": norm.item(),
        "gradients": digest({name: p.grad for name, p in named.items()}, 4),
    }


write(
    "native/dense.json",
    {
        "necks": [neck_case((16, 32, 64), 1, 16), neck_case((48, 96, 192), 1, 8), neck_case((128, 256, 512), 2, 8)],
        "head": head_case(48, 8),
        "batches": [assigner_case(index) for index in range(40)],
        "whole": whole_case(),
    },
)
