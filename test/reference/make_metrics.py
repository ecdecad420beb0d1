"""metrics.json: pycocotools' twelve numbers for COCO files and for random sets."""

import contextlib
import io
import json

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from random_set import FILES, SETS, random_set
from reference import STORED, write


class Evaluation(COCOeval):
    """With objects that are ignored though they are no crowd: pycocotools overwrites their flag."""

    def _prepare(self):
        super()._prepare()
        for annotations in self._gts.values():
            for annotation in annotations:
                annotation["ignore"] = int(annotation["iscrowd"] or annotation.get("ignored", 0))


def coco(images, labels, annotations):
    data = COCO()
    data.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": label} for label in labels],
        "annotations": [{"iscrowd": 0, **each, "id": i} for i, each in enumerate(annotations, 1)],
    }
    data.createIndex()
    return data


def evaluate(truth, detections, limits=(1, 10, 100)):
    """The twelve numbers, and AP and AP50 of each class."""
    labels = sorted({each["category_id"] for each in truth[1] + detections})
    images = sorted(truth[0])
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = Evaluation(coco(images, labels, truth[1]), coco(images, labels, detections), "bbox")
        evaluation.params.maxDets = list(limits)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # [thresholds, recalls, classes] of all sizes

    def mean(values):
        return values[values > -1].mean().item() if (values > -1).any() else -1

    # summarize() wants a limit of 100 for its first number.
    stats = [mean(precision), *evaluation.stats[1:].tolist()]
    per_class = {label: [mean(precision[:, :, k]), mean(precision[0, :, k])] for k, label in enumerate(labels)}
    return stats, per_class


def xywh(xmin, ymin, xmax, ymax):
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def detection(image, label, score, box):
    return {"image_id": image, "category_id": label, "score": score, "bbox": box, "area": box[2] * box[3]}


def random_case(name, seed, options):
    truth, detections = [], []
    for image, (found, objects) in enumerate(random_set(seed, **options), 1):
        for each in objects:
            known = {"image_id": image, "category_id": each["label"], "bbox": xywh(*each["box"]), "area": each["area"]}
            truth.append(known | {"iscrowd": each["crowd"], "ignored": each["ignore"]})
        detections.extend(detection(image, label, score, xywh(*box)) for label, score, *box in found)
    images = range(1, options["images"] + 1)
    stats, per_class = evaluate((images, truth), detections)
    few, _ = evaluate((images, truth), detections, (2, 3, 5))
    return {"name": name, "seed": seed, "options": options, "stats": stats, "fewStats": few, "perClass": per_class}


def file_case(truth_file, results_file):
    truth, results = (json.loads((STORED / name).read_text()) for name in (truth_file, results_file))
    detections = [detection(each["image_id"], each["category_id"], each["score"], each["bbox"]) for each in results]
    stats, _ = evaluate(([image["id"] for image in truth["images"]], truth["annotations"]), detections)
    return {"truth": truth_file, "results": results_file, "stats": stats}


write("metrics.json", {"files": [file_case(*pair) for pair in FILES], "sets": [random_case(*each) for each in SETS]}, 12)
