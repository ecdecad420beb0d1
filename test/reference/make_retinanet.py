"""native/retinanet_head.json: torchvision's RetinaNetHead; native/retinanet.json: its whole RetinaNet on our ConvNeXt, and its parts.

Its classes begin with the background, as ours: a label is a column of the logits. Ours has no loss of the background's column, and no
detection either; here that column is taken out of the losses, and of the detections by a score of 0.
"""

import math
import re

import torch
from torch import nn

import torchvision_ops  # noqa: F401
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import FeaturePyramidNetwork, box_iou
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from convnext import Taps
from reference import digest, load_weights, packed, pattern, picture, uniform, weight, write

WIDTH, HEIGHT = 128, 96
# Each half as large as the one before, rounded up: (h, w) of P3 to P7.
GRIDS = [(12, 16), (6, 8), (3, 4), (2, 2), (1, 1)]
CLASSES = 4


class Backbone(nn.Module):
    out_channels = 192  # FPN's 256 and ours, but no more than the last map has

    def __init__(self):
        super().__init__()
        self.body = Taps()
        self.fpn = FeaturePyramidNetwork([48, 96, 192], self.out_channels, LastLevelP6P7(192, 192))

    def forward(self, x):
        return self.fpn(self.body(x))


def our_name(name):
    name = re.sub(r"^backbone\.fpn\.(inner_blocks|layer_blocks)\.(\d)\.0\.", r"neck.\1.\2.", name)
    return name.replace("backbone.fpn.", "neck.").replace("backbone.body.", "backbone.")


def make_model():
    model = RetinaNet(Backbone(), CLASSES, fixed_size=(WIDTH, HEIGHT))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weight(our_name(name), tuple(parameter.shape)))
    return model


def without_background(logits):
    hidden = logits.clone()
    hidden[..., 0] = -math.inf
    return hidden


def losses_of(model, output, targets, anchors):
    shown = {**output, "cls_logits": output["cls_logits"][..., 1:]}
    shifted = [{"boxes": t["boxes"], "labels": t["labels"] - 1} for t in targets]
    return model.compute_loss(shifted, shown, [anchors] * len(targets))


def detections_of(model, output, anchors, grids, size, originals):
    counts = [h * w * 9 for h, w in grids]
    logits = list(without_background(output["cls_logits"]).split(counts, 1))
    levels = {"cls_logits": logits, "bbox_regression": list(output["bbox_regression"].split(counts, 1))}
    images = len(originals)
    found = model.postprocess_detections(levels, [list(anchors.split(counts))] * images, [size] * images)
    for each, original in zip(found, originals):
        each["boxes"] = resize_boxes(each["boxes"], size, original)
    return found


def anchors_of(generator, grids, width, height):
    image = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    return generator(image, [torch.zeros(1, 1, h, w) for h, w in grids])[0]


def head_case():
    channels, anchors = 16, 9
    head = load_weights(RetinaNetHead(channels, anchors, CLASSES))
    maps = [pattern("retina0", (2, channels, 3, 4), 2.0), pattern("retina1", (2, channels, 2, 2), 2.0)]
    return {
        "channels": channels,
        "anchors": anchors,
        "classes": CLASSES,
        "shapes": {name: list(p.shape) for name, p in head.named_parameters()},
        "output": {key: value.detach().flatten() for key, value in head(maps).items()},
    }


def anchor_cases(model):
    """torchvision's own, and others of which corners are rounded from halves."""
    ceil = [(10, 15), (5, 8), (3, 4), (2, 2), (1, 1)]
    odd = AnchorGenerator(((11, 33.5), (60, 61)), ((0.4, 1.0, 3.0),) * 2)
    return [
        {"sizes": sizes, "aspectRatios": ratios, "grids": [as_size(g) for g in grids], "image": size, "anchors": packed(
            anchors_of(generator, grids, size["width"], size["height"]).flatten())}
        for generator, sizes, ratios, grids, size in (
            (model.anchor_generator, model.anchor_generator.sizes, [0.5, 1, 2], GRIDS, {"width": WIDTH, "height": HEIGHT}),
            (model.anchor_generator, model.anchor_generator.sizes, [0.5, 1, 2], ceil, {"width": 120, "height": 80}),
            (odd, odd.sizes, [0.4, 1, 3], ceil[:2], {"width": 120, "height": 80}),
        )
    ]


def as_size(grid):
    return {"width": grid[1], "height": grid[0]}


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}


# Two objects that nearly share their anchors, a small one, which no anchor fits, and an image without any.
TARGETS = [
    target([[9.0, 10, 43, 52], [12, 10, 47, 54], [70.5, 35.25, 120, 90]], [1, 3, 2]),
    target([], []),
    target([[100.5, 4.25, 108, 10]], [2]),
]


def matcher_cases(anchors):
    """Of random boxes, in which equally good anchors come up."""
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
    cases = []
    for i in range(4):
        place = pattern(f"match{i}.place", (6, 2), 80.0, 45.0).round()
        size = pattern(f"match{i}.size", (6, 2), 60.0, 38.0).round()
        boxes = torch.cat([place - size / 2, place + size / 2], 1)
        cases.append({"boxes": boxes, "matches": matcher(box_iou(boxes, anchors))})
    return cases


def whole_case(model, anchors):
    pixels = torch.stack([torch.from_numpy(picture(f"picture{i}", WIDTH, HEIGHT)) for i in range(3)])
    images = model.transform(list(pixels.permute(0, 3, 1, 2).float() / 255))[0].tensors
    maps = model.backbone(images)
    output = model.head(list(maps.values()))
    parts = losses_of(model, output, TARGETS, anchors)
    loss = sum(parts.values())
    loss.backward()
    gradients = {our_name(name): p.grad for name, p in model.named_parameters()}
    return {
        "shapes": {our_name(name): list(p.shape) for name, p in model.named_parameters()},
        "output": digest(output, 64),
        "targets": TARGETS,
        "boxLoss": parts["bbox_regression"].item(),
        "classLoss": parts["classification"].item(),
        "gradientNorm": torch.stack([g.norm() for g in gradients.values()]).norm().item(),
        "gradients": digest(gradients, 8),
    }


def smallest_margin(model, output, anchors, grids, size, originals):
    """How far the nearest decision is from falling the other way: then another CPU's rounding cannot turn one."""
    margins = []
    begin = 0
    chosen_boxes = []
    for image in range(len(originals)):
        begin = 0
        chosen_boxes.clear()
        scores_of_image, labels_of_image = [], []
        for h, w in grids:
            end = begin + h * w * 9
            scores = output["cls_logits"][image, begin:end, 1:].sigmoid()
            margins.append((scores - model.score_thresh).abs().min())
            ranked, places = scores.flatten().sort(descending=True)
            count = min(model.topk_candidates, (ranked > model.score_thresh).sum().item())
            margins.extend(ranked[count - 1 : count] - ranked[count : count + 1])
            rows = places[:count] // (scores.shape[1])
            codes = output["bbox_regression"][image, begin:end][rows]
            boxes = model.box_coder.decode_single(codes, anchors[begin:end][rows])
            chosen_boxes.append(boxes.clamp(min=0).minimum(torch.tensor([size[1], size[0]] * 2)))
            scores_of_image.append(ranked[:count])
            labels_of_image.append(places[:count] % scores.shape[1])
            begin = end
        boxes, scores, labels = torch.cat(chosen_boxes), torch.cat(scores_of_image), torch.cat(labels_of_image)
        iou = box_iou(boxes, boxes)
        same = labels[:, None] == labels[None]
        # Beside its rounding, classes that are moved apart have the IoU of other numbers.
        margins.append((iou - model.nms_thresh).abs()[same].min() / 30)
        gaps = (scores[:, None] - scores[None]).abs()
        margins.extend(gaps[same & (iou > model.nms_thresh).triu(1)].sort().values[:1])
    for found in detections_of(model, output, anchors, grids, size, originals):
        margins.extend((found["scores"][:-1] - found["scores"][1:]).sort().values[:1])
    return min(margins).item()


def random_head(model, index):
    """Up to 1,000 candidates torchvision's NMS moves each class to a place of its own; more it takes class by class."""
    draws = iter(uniform(f"retina.head{index}", (9,)) + 0.5)

    def pick(*choices):
        return choices[int(next(draws) * len(choices))]

    size = (HEIGHT, WIDTH)
    originals = [size, (pick(480, 37), pick(333, 1280))]
    classes = pick(3, 5, 8)
    model.score_thresh = pick(0.05, 0.2)
    model.nms_thresh = pick(0.3, 0.5)
    model.topk_candidates = 400 if index % 2 else pick(20, 60)
    model.detections_per_img = pick(30, 100)
    anchors = anchors_of(model.anchor_generator, GRIDS, WIDTH, HEIGHT)
    for attempt in range(20000):
        name = f"retina.head{index}.{attempt}"
        output = {
            "cls_logits": pattern(f"{name}.logits", (2, len(anchors), classes), 8.0, -3.0),
            "bbox_regression": pattern(f"{name}.regression", (2, len(anchors), 4), 1.0),
        }
        if smallest_margin(model, output, anchors, GRIDS, size, originals) > 3e-7:
            break
    else:
        raise SystemExit(f"head {index}: no seed keeps its distance")
    found = detections_of(model, output, anchors, GRIDS, size, originals)
    return {
        "name": name,
        "classes": classes,
        "options": {
            "scoreThreshold": model.score_thresh,
            "nmsThreshold": model.nms_thresh,
            "topkCandidates": model.topk_candidates,
            "maxDetections": model.detections_per_img,
        },
        "originals": [as_size(each) for each in originals],
        "detections": [
            {"labels": each["labels"], "scores": packed(each["scores"]), "boxes": packed(each["boxes"])} for each in found
        ],
    }


write("native/retinanet_head.json", head_case())
MODEL = make_model()
ALL_ANCHORS = anchors_of(MODEL.anchor_generator, GRIDS, WIDTH, HEIGHT)
write(
    "native/retinanet.json",
    {
        "defaults": {
            "scoreThreshold": MODEL.score_thresh,
            "nmsThreshold": MODEL.nms_thresh,
            "topkCandidates": MODEL.topk_candidates,
            "maxDetections": MODEL.detections_per_img,
        },
        "anchors": anchor_cases(MODEL),
        "matches": matcher_cases(ALL_ANCHORS),
        "whole": whole_case(MODEL, ALL_ANCHORS),
        "grids": [as_size(grid) for grid in GRIDS],
        "heads": [random_head(MODEL, index) for index in range(6)],
    },
)
