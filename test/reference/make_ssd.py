"""ssd_golden.json: torchvision's answers to the questions that stand in the file itself, which were once drawn at random."""

import hashlib
import json

import torch

import ssd
from reference import STORED, write
from torchvision.models.detection import _utils
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss, sigmoid_focal_loss

QUESTIONS = json.loads((STORED / "ssd_golden.json").read_text())


def tensors(group, *names):
    return [torch.tensor(group[name], dtype=torch.float32) for name in names]


def described(boxes, ends):
    """ends: how many rows to tell from the start, and from the end"""
    first, last = ends
    return {
        "n": len(boxes),
        f"first{first}": boxes[:first],
        f"last{last}": boxes[-last:],
        "sum_per_col": boxes.double().sum(0),
        "sha256_f32le": hashlib.sha256(boxes.numpy().astype("<f4").tobytes()).hexdigest(),
    }


def article_anchors():
    generator = ssd.DefaultBoxGenerator(ssd.RATIOS)
    return described(ssd.default_boxes([(20, 20)], 640, 640), (16, 4)) | {
        "scales": generator.scales,
        "wh0": generator._wh_pairs[0],
    }


def ssd300_anchors():
    grids = [(side, side) for side in (38, 19, 10, 5, 3, 1)]
    scales = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
    boxes = ssd.default_boxes(grids, 300, 300, scales=scales, steps=[8, 16, 32, 64, 100, 300])
    return described(boxes, (8, 8))


def box_coder():
    question = QUESTIONS["box_coder"]
    coder = _utils.BoxCoder(question["weights"])
    reference, prior, overflow = tensors(question, "ref", "prior", "codes_overflow")
    encoded = coder.encode_single(reference, prior)
    return question | {
        "clip": coder.bbox_xform_clip,
        "encoded": encoded,
        "decoded": coder.decode_single(encoded, prior),
        "decoded_overflow": coder.decode_single(overflow, prior),
    }


def ssd_matcher():
    question = QUESTIONS["ssd_matcher"]
    (iou,) = tensors(question, "iou")
    return question | {
        "matches": _utils.SSDMatcher(question["thr"])(iou),
        "retina_0.5_0.4_lowq": _utils.Matcher(0.5, 0.4, allow_low_quality_matches=True)(iou),
    }


def tiny_ssd():
    question = QUESTIONS["tiny_ssd"]
    size, asked = question["size"], question["eval"]
    anchors = ssd.default_boxes([(4, 4), (2, 2)], *size, ratios=[[2], [2, 3]], scales=question["scales"])
    logits, regression = tensors(question, "cls_logits", "bbox_regression")
    output = {"cls_logits": logits, "bbox_regression": regression}
    targets = [
        {"boxes": tensors(target, "boxes")[0], "labels": torch.tensor(target["labels"])}
        for target in question["targets"]
    ]
    loss, matches = ssd.losses(output, targets, anchors)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    options = {
        "score_thresh": asked["score_thresh"],
        "nms_thresh": asked["nms"],
        "topk_candidates": asked["topk"],
        "detections_per_img": asked["max_det"],
    }
    return question | {
        "anchors": anchors,
        "matched_idxs": matches,
        "loss": loss,
        "loss_second_image_empty": ssd.losses(output, [targets[0], empty], anchors)[0],
        "eval": asked | {"detections": ssd.detections(output, anchors, size, asked["orig_sizes_hw"], **options)},
    }


def losses():
    question = QUESTIONS["losses"]
    x, y, b1, b2 = tensors(question, "x", "y", "b1", "b2")
    return question | {
        "focal_.25_2": sigmoid_focal_loss(x, y, 0.25, 2.0),
        "giou": generalized_box_iou_loss(b1, b2),
        "diou": distance_box_iou_loss(b1, b2),
        "ciou": complete_box_iou_loss(b1, b2),
    }


PARTS = [article_anchors, ssd300_anchors, box_coder, ssd_matcher, tiny_ssd, losses]
write("ssd_golden.json", {part.__name__: part() for part in PARTS}, 17)
