"""The parts around the model: reading images, postprocessing, NMS, average precision."""

import contextlib
import io

import numpy as np
import torch
from detector import FACTS
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import batched_nms

import ssd
from reference import pattern


def data(paths, side, normalise, tuned):
    """The article's item: OpenCV decodes, resizes as float, numpy divides by 255; tuned: resized as bytes, and converted once.
    `normalise`: by torchvision's model, as the article leaves it to. One thread."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    transform = GeneralizedRCNNTransform(side, side, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], fixed_size=(side, side))

    def item(path):
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        if tuned:
            image = np.multiply(cv2.resize(image, (side, side)), np.float32(1 / 255))
        else:
            image = cv2.resize(image.astype(np.float32), (side, side)) / 255.0
        return torch.from_numpy(image.transpose(2, 0, 1))

    def step():
        items = [item(path) for path in paths]
        if normalise:
            transform(items)

    return step, {"opencv": cv2.__version__}


def postprocess(side, grid, classes, images, scale, background):
    anchors = ssd.default_boxes([(grid, grid)], side, side)
    logits = pattern("logits", (images, len(anchors), classes), scale)
    logits[:, :, 0] += background
    output = {"cls_logits": logits, "bbox_regression": pattern("regression", (images, len(anchors), 4), 4.0)}
    options = {"score_thresh": 0.01, "nms_thresh": 0.45, "topk_candidates": 400, "detections_per_img": 200}

    def step():
        found = ssd.detections(output, anchors, (side, side), [(375, 500)] * images, **options)
        return [{key: values.flatten().tolist() for key, values in each.items()} for each in found]

    return step, FACTS


def nms(boxes, scores, labels):
    given = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels)
    return (lambda: batched_nms(*given, 0.45).tolist()), FACTS


def coco(truth, detections, images, classes, tool):
    """Rows of float64: truth [image, label, x1, y1, x2, y2], detections [image, label, score, x1, y1, x2, y2]."""
    if tool == "faster-coco-eval":
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    else:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    truth, detections = (np.fromfile(path).reshape(-1, columns) for path, columns in ((truth, 6), (detections, 7)))
    for rows in (truth, detections):
        rows[:, -2:] -= rows[:, -4:-2]
    dataset = {
        "info": {},
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": k} for k in range(1, classes + 1)],
        "annotations": [
            {"id": i + 1, "image_id": int(row[0]), "category_id": int(row[1]), "bbox": row[2:].tolist()}
            | {"area": row[4] * row[5], "iscrowd": 0}
            for i, row in enumerate(truth)
        ],
    }
    found = np.concatenate([detections[:, :1], detections[:, 3:], detections[:, 2:3], detections[:, 1:2]], axis=1)

    def step():
        with contextlib.redirect_stdout(io.StringIO()):
            reference = COCO()
            reference.dataset = dataset
            reference.createIndex()
            evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [float(value) for value in evaluation.stats[:12]]

    return step, {"tool": tool}
