"""torchvision's SSD, cut loose from its model class so that each part can be called on given tensors."""

from types import SimpleNamespace

import torch

import torchvision_ops  # noqa: F401
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD, SSDHead  # noqa: F401
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import box_iou

RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]


def default_boxes(grids, width, height, ratios=RATIOS, **options):
    """grids: (h, w) of each map -> [A, 4]"""
    generator = DefaultBoxGenerator(ratios, **options)
    image = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    return generator(image, [torch.zeros(1, 1, h, w) for h, w in grids])[0]


def losses(output, targets, anchors):
    """output: cls_logits [N, A, K], bbox_regression [N, A, 4]; targets: boxes and labels of each image"""
    matcher = _utils.SSDMatcher(0.5)
    background = torch.full((len(anchors),), -1, dtype=torch.int64)
    matches = [matcher(box_iou(t["boxes"], anchors)) if len(t["boxes"]) else background for t in targets]
    ssd = SimpleNamespace(box_coder=_utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), neg_to_pos_ratio=3.0)
    return SSD.compute_loss(ssd, targets, output, [anchors] * len(targets), matches), matches


def detections(output, anchors, input_size, original_sizes, **options):
    """Sizes are (height, width)."""
    ssd = SimpleNamespace(box_coder=_utils.BoxCoder((10.0, 10.0, 5.0, 5.0)), **options)
    images = len(original_sizes)
    found = SSD.postprocess_detections(ssd, output, [anchors] * images, [input_size] * images)
    for each, size in zip(found, original_sizes):
        each["boxes"] = resize_boxes(each["boxes"], input_size, size)
    return found
