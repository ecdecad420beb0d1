"""nms.json, postprocess.json, multibox_loss.json, ssd_head.json: torchvision's answers."""

import json

import torch

import ssd
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import batched_nms, box_iou
from torchvision.ops.boxes import clip_boxes_to_image

from reference import STORED, load_weights, packed, pattern, uniform, write

# Height and width of the input and of the maps.
PYRAMIDS = [((64, 96), [(4, 6), (2, 3)]), ((80, 80), [(5, 5), (3, 3), (1, 1)]), ((64, 160), [(4, 10)])]


def random_boxes(name, count, width, height):
    """Boxes in groups of eight around one place, so that many overlap."""
    place = pattern(f"{name}.place", ((count + 7) // 8, 2), 0.7, 0.35).repeat_interleave(8, 0)[:count]
    corner = place + pattern(f"{name}.corner", (count, 2), 0.08)
    size = pattern(f"{name}.size", (count, 2), 0.06, 0.15)
    return torch.cat([corner, corner + size], 1) * torch.tensor([width, height] * 2)


def nms_case(name, count, classes, levels):
    """Scores of few levels are often equal; above 1,000 boxes torchvision then leaves their order open."""
    boxes = random_boxes(name, count, 320.0, 240.0)
    scores = pattern(f"{name}.scores", (count,), levels, levels / 2).floor() / levels
    labels = (torch.arange(count) * 7 + torch.arange(count) // 11) % classes + 1
    assert count <= 1000 or len(scores.unique()) == count
    kept = batched_nms(boxes, scores, labels, 0.45)
    return {"name": name, "count": count, "classes": classes, "levels": levels, "kept": kept}


def smallest_margin(output, anchors, size, originals, options):
    """How far the nearest decision is from falling the other way: then another CPU's rounding cannot turn one."""
    scores = output["cls_logits"].softmax(-1)
    margins = [(scores - options["score_thresh"]).abs().min()]
    for image in range(len(scores)):
        boxes = BoxCoder((10.0, 10.0, 5.0, 5.0)).decode_single(output["bbox_regression"][image], anchors)
        boxes = clip_boxes_to_image(boxes, size)
        for label in range(1, scores.shape[-1]):
            score = scores[image, :, label]
            score, index = score.sort(descending=True)
            count = min(options["topk_candidates"], (score > options["score_thresh"]).sum().item())
            margins.extend(score[count - 1 : count] - score[count : count + 1])
            if count < 2:
                continue
            iou = box_iou(boxes[index[:count]], boxes[index[:count]])
            margins.append((iou - options["nms_thresh"]).abs().min())
            gaps = (score[:count, None] - score[None, :count]).abs()
            margins.extend(gaps[(iou > options["nms_thresh"]).triu(1)].sort().values[:1])
    for found in ssd.detections(output, anchors, size, originals, **options):
        margins.extend((found["scores"][:-1] - found["scores"][1:]).sort().values[:1])
    return min(margins).item()


def candidates_of(output, options):
    """For each image, the boxes that go to NMS."""
    scores = output["cls_logits"].softmax(-1)[:, :, 1:]
    return (scores > options["score_thresh"]).sum(1).clamp(max=options["topk_candidates"]).sum(1)


def random_head(index):
    """Up to 1,000 candidates torchvision's NMS moves each class to a place of its own; more it takes class by class."""
    path = "class by class" if index % 2 else "offset"
    draws = iter(uniform(f"head{index}", (9,)) + 0.5)

    def pick(*choices):
        return choices[int(next(draws) * len(choices))]

    size, grids = pick(*PYRAMIDS)
    classes = pick(*{"offset": (2, 3, 4, 7), "class by class": (14, 17, 21)}[path])
    options = {
        "score_thresh": pick(0.005, 0.01, 0.02),
        "nms_thresh": pick(0.3, 0.45, 0.6),
        "topk_candidates": pick(*{"offset": (20, 50, 400), "class by class": (90, 400)}[path]),
        "detections_per_img": pick(10, 30, 80),
    }
    scale = pick(4.0, 6.0)
    originals = [(size[0], size[1]), (pick(480, 37), pick(333, 1280))]
    anchors = ssd.default_boxes(grids, size[1], size[0])
    for attempt in range(5000):
        name = f"head{index}.{attempt}"
        output = {
            "cls_logits": pattern(f"{name}.logits", (2, len(anchors), classes), scale),
            "bbox_regression": pattern(f"{name}.regression", (2, len(anchors), 4), 4.0),
        }
        candidates = candidates_of(output, options)
        on_path = (candidates > 1000).all() if path == "class by class" else (candidates <= 1000).all()
        if on_path and smallest_margin(output, anchors, size, originals, options) > 1e-6:
            break
    else:
        raise SystemExit(f"head {index}: no seed keeps its distance")
    return {
        "name": name,
        "path": path,
        "input": as_size(size),
        "grids": [as_size(grid) for grid in grids],
        "classes": classes,
        "scale": scale,
        "candidates": candidates,
        "options": {
            "scoreThreshold": options["score_thresh"],
            "nmsThreshold": options["nms_thresh"],
            "topkCandidates": options["topk_candidates"],
            "maxDetections": options["detections_per_img"],
        },
        "originals": [as_size(original) for original in originals],
        "detections": [
            {"labels": found["labels"], "scores": packed(found["scores"]), "boxes": packed(found["boxes"])}
            for found in ssd.detections(output, anchors, size, originals, **options)
        ],
    }


def as_size(height_and_width):
    height, width = height_and_width
    return {"width": width, "height": height}


def loss_case(name, logits, regression, targets, anchors):
    output = {
        "cls_logits": logits.clone().requires_grad_(),
        "bbox_regression": regression.clone().requires_grad_(),
    }
    parts, matches = ssd.losses(output, targets, anchors)
    sum(parts.values()).backward()
    return {
        "name": name,
        "targets": targets,
        "anchors": len(anchors),
        "classes": logits.shape[-1],
        "boxLoss": parts["bbox_regression"].item(),
        "classLoss": parts["classification"].item(),
        "positives": sum((m >= 0).sum().item() for m in matches),
        "logitsGradient": output["cls_logits"].grad.flatten(),
        "regressionGradient": output["bbox_regression"].grad.flatten(),
    }


def loss_cases():
    tiny = json.loads((STORED / "ssd_golden.json").read_text())["tiny_ssd"]
    anchors = torch.tensor(tiny["anchors"])
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}

    def target(boxes, labels):
        return {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)}

    def random_case(name, targets, classes, anchors):
        logits = pattern(f"{name}.logits", (len(targets), len(anchors), classes), 6.0)
        regression = pattern(f"{name}.regression", (len(targets), len(anchors), 4), 6.0)
        return loss_case(name, logits, regression, targets, anchors)

    golden = target(tiny["targets"][0]["boxes"], tiny["targets"][0]["labels"])
    second = target(tiny["targets"][1]["boxes"], tiny["targets"][1]["labels"])
    logits, regression = torch.tensor(tiny["cls_logits"]), torch.tensor(tiny["bbox_regression"])
    several = target(
        [[2.0, 2, 20, 20], [3, 3, 21, 22], [30, 30, 62, 63], [31.5, 8.25, 60, 30], [0, 40, 12, 64]], [5, 1, 2, 2, 4]
    )
    pair = target([[10.0, 10, 40, 44], [50, 50, 52, 53]], [3, 1])
    crowded = target([[0.0, 0, 16, 16], [16, 0, 32, 16], [32, 0, 48, 16], [48, 0, 64, 16]], [1, 2, 1, 2])
    return [
        loss_case("tiny_ssd", logits, regression, [golden, second], anchors),
        random_case("mixed", [empty, pair, several], 6, anchors),
        random_case("empty", [empty, empty], 3, anchors),
        random_case("crowded", [crowded], 3, anchors[:16]),  # fewer negatives than three for each positive
    ]


def head_case():
    channels, anchors, classes = [5, 3], [4, 6], 3
    head = load_weights(ssd.SSDHead(channels, anchors, classes))
    maps = [pattern("map0", (2, 5, 2, 3), 2.0), pattern("map1", (2, 3, 1, 2), 2.0)]
    return {
        "channels": channels,
        "anchors": anchors,
        "classes": classes,
        "shapes": {name: list(p.shape) for name, p in head.named_parameters()},
        "output": {key: value.detach().flatten() for key, value in head(maps).items()},
    }


write(
    "native/nms.json", [nms_case("few", 900, 4, 100), nms_case("one", 1000, 1, 100), nms_case("many", 1100, 4, 2**23)]
)
write("native/postprocess.json", [random_head(index) for index in range(20)])
write("native/multibox_loss.json", loss_cases(), 7)
write("native/ssd_head.json", head_case())
