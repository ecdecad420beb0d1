"""native/losses.json: torchvision's losses beside those of its SSD, with their gradients."""

import json
from types import SimpleNamespace

import torch

import ssd
from torchvision.models.detection import _utils
from torchvision.models.detection.retinanet import RetinaNetClassificationHead, RetinaNetRegressionHead
from torchvision.ops import (
    box_iou,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)

from reference import STORED, pattern, write

BOX_LOSSES = {"giou": generalized_box_iou_loss, "diou": distance_box_iou_loss, "ciou": complete_box_iou_loss}
CODER = _utils.BoxCoder((10.0, 10.0, 5.0, 5.0))


def gradient_of(function, tensor):
    """The values of a function, and the gradient of their sum."""
    leaf = tensor.clone().requires_grad_()
    values = function(leaf)
    values.sum().backward()
    return {"values": values.detach().flatten(), "gradient": leaf.grad.flatten()}


def focal_case():
    logits = pattern("focal.logits", (40, 5), 24.0)
    targets = (pattern("focal.targets", (40, 5)) > 0.2).float()
    return {"shape": list(logits.shape), **gradient_of(lambda x: sigmoid_focal_loss(x, targets), logits)}


def box_pairs():
    """[boxes, targets], [P, 4] each: apart, overlapping, one in the other, thin, small, and the same but for a little."""
    place = pattern("pair.place", (60, 4), 60.0, 100.0)
    size = pattern("pair.size", (60, 4), 70.0, 40.0)
    boxes, targets = (torch.cat([place[:, i : i + 2], place[:, i : i + 2] + size[:, i : i + 2]], 1) for i in (0, 2))
    special = torch.tensor(
        [
            [[0.0, 0, 10, 10], [20, 30, 40, 50]],
            [[2, 3, 6, 7], [0, 0, 16, 20]],
            [[0, 0, 100, 1], [3, 0.25, 4, 90]],
            [[5, 5, 5.5, 5.25], [5.125, 5, 5.75, 5.5]],
            [[10, 10, 30, 50], [10.5, 10.25, 30.75, 50.5]],
        ]
    )
    return torch.cat([boxes, special[:, 0]]), torch.cat([targets, special[:, 1]])


def box_case(loss):
    boxes, targets = box_pairs()
    return gradient_of(lambda b: loss(b, targets), boxes)


def parts_of_retinanet(output, targets, anchors, matches, box):
    """RetinaNet has no column for the background: ours is left out."""
    foreground_only = [{"boxes": t["boxes"], "labels": t["labels"] - 1} for t in targets]
    head = SimpleNamespace(BETWEEN_THRESHOLDS=_utils.Matcher.BETWEEN_THRESHOLDS, box_coder=CODER, _loss_type=box)
    logits = {"cls_logits": output["cls_logits"][..., 1:]}
    return {
        "classification": RetinaNetClassificationHead.compute_loss(head, foreground_only, logits, matches),
        "bbox_regression": RetinaNetRegressionHead.compute_loss(
            head, targets, output, [anchors] * len(targets), matches
        ),
    }


def parts_of_ssd(output, targets, anchors, matches, box):
    parts, _ = ssd.losses(output, targets, anchors)
    rows = zip(targets, output["bbox_regression"], matches)
    losses = [
        _utils._box_loss(box, CODER, anchors[match >= 0], t["boxes"][match[match >= 0]], codes[match >= 0])
        for t, codes, match in rows
    ]
    positives = sum((match >= 0).sum() for match in matches).clamp(min=1)
    return {"classification": parts["classification"], "bbox_regression": sum(losses) / positives}


def whole_case(name, classification, box, targets, anchors, classes):
    output = {
        "cls_logits": pattern(f"{name}.logits", (len(targets), len(anchors), classes), 6.0).requires_grad_(),
        "bbox_regression": pattern(f"{name}.regression", (len(targets), len(anchors), 4), 6.0).requires_grad_(),
    }
    matcher = _utils.SSDMatcher(0.5)
    none = torch.full((len(anchors),), -1, dtype=torch.int64)
    matches = [matcher(box_iou(t["boxes"], anchors)) if len(t["boxes"]) else none for t in targets]
    parts_of = parts_of_retinanet if classification == "focal" else parts_of_ssd
    parts = parts_of(output, targets, anchors, matches, {"smooth-l1": "smooth_l1"}.get(box, box))
    sum(parts.values()).backward()
    return {
        "name": name,
        "classification": classification,
        "box": box,
        "targets": targets,
        "classes": classes,
        "boxLoss": parts["bbox_regression"].item(),
        "classLoss": parts["classification"].item(),
        "logitsGradient": output["cls_logits"].grad.flatten(),
        "regressionGradient": output["bbox_regression"].grad.flatten(),
    }


def whole_cases():
    anchors = torch.tensor(json.loads((STORED / "ssd_golden.json").read_text())["tiny_ssd"]["anchors"])

    def target(boxes, labels):
        return {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)}

    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    pair = target([[10.0, 10, 40, 44], [50, 50, 52, 53]], [3, 1])
    several = target([[2.0, 2, 20, 20], [3, 3, 21, 22], [30, 30, 62, 63], [0, 40, 12, 64]], [2, 1, 2, 3])
    targets = [pair, empty, several]
    kinds = [("focal", box) for box in ("smooth-l1", *BOX_LOSSES)] + [("hard-negative", box) for box in BOX_LOSSES]
    cases = [whole_case(f"{c}.{box}", c, box, targets, anchors, 4) for c, box in kinds]
    return [*cases, whole_case("focal.empty", "focal", "giou", [empty, empty], anchors, 3)]


write(
    "native/losses.json",
    {
        "focal": focal_case(),
        "boxes": {name: box_case(loss) for name, loss in BOX_LOSSES.items()},
        "pairs": [pair.flatten() for pair in box_pairs()],
        "whole": whole_cases(),
    },
    7,
)
