"""torchmetrics.json: map and map_50 of torchmetrics.detection.MeanAveragePrecision for the data of metrics.json.

Without areas and `ignore`, in float32, images in the order of the file.
"""

import json

import torch

import torchvision_ops  # noqa: F401
from torchmetrics.detection import MeanAveragePrecision

from random_set import FILES, SETS, random_set
from reference import STORED, write


def score(images):
    """images: (detections [label, score, xmin, ymin, xmax, ymax], objects [label, xmin, ymin, xmax, ymax, crowd])"""
    metric = MeanAveragePrecision()
    for detections, objects in images:
        found = torch.tensor(detections, dtype=torch.float64).reshape(-1, 6)
        truth = torch.tensor(objects, dtype=torch.float64).reshape(-1, 6)
        predicted = {"labels": found[:, 0].long(), "scores": found[:, 1].float(), "boxes": found[:, 2:].float()}
        expected = {"labels": truth[:, 0].long(), "boxes": truth[:, 1:5].float(), "iscrowd": truth[:, 5].long()}
        metric.update([predicted], [expected])
    result = metric.compute()
    return [result["map"].item(), result["map_50"].item()]


def random_case(name, seed, options):
    images = random_set(seed, **options)
    return score(
        (detections, [[each["label"], *each["box"], each["crowd"]] for each in objects]) for detections, objects in images
    )


def file_case(truth_file, results_file):
    truth, results = (json.loads((STORED / name).read_text()) for name in (truth_file, results_file))

    def corners(x, y, width, height):
        return [x, y, x + width, y + height]

    return score(
        (
            [[d["category_id"], d["score"], *corners(*d["bbox"])] for d in results if d["image_id"] == image["id"]],
            [
                [a["category_id"], *corners(*a["bbox"]), a["iscrowd"]]
                for a in truth["annotations"]
                if a["image_id"] == image["id"]
            ],
        )
        for image in truth["images"]
    )


write("torchmetrics.json", {"files": [file_case(*pair) for pair in FILES], "sets": [random_case(*each) for each in SETS]}, 17)
