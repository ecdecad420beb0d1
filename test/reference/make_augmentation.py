"""augmentation.json: what torchvision's RandomIoUCrop, RandomZoomOut and RandomPhotometricDistort draw, on average."""

import torch

import torchvision_ops  # before torchvision
from torchvision import tv_tensors
from torchvision.transforms import v2

from reference import write

WIDTH, HEIGHT, DRAWS = 500, 375, 20000
BOXES = [[40, 60, 140, 300], [200, 30, 460, 340], [470, 350, 490, 372]]


def means(rows):
    """Mean and standard deviation of each column."""
    table = torch.tensor(rows, dtype=torch.float64)
    return {"mean": table.mean(0), "std": table.std(0)}


def iou_crop(boxes):
    """Window relative to the image, objects kept, and whether it is the whole image."""
    transform = v2.RandomIoUCrop()
    boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(HEIGHT, WIDTH))
    inputs = [tv_tensors.Image(torch.empty(3, HEIGHT, WIDTH, dtype=torch.uint8)), boxes]
    whole = {"left": 0, "top": 0, "width": WIDTH, "height": HEIGHT, "is_within_crop_area": torch.ones(len(boxes))}
    rows = []
    for _ in range(DRAWS):
        drawn = transform.make_params(inputs)
        at = drawn or whole
        kept = at["is_within_crop_area"].sum().item()
        window = [at["left"] / WIDTH, at["top"] / HEIGHT, at["width"] / WIDTH, at["height"] / HEIGHT]
        rows.append([*window, kept, float(not drawn)])
    return means(rows)


def zoom_out():
    """Window relative to the image, where it is applied."""
    transform = v2.RandomZoomOut()
    inputs = [tv_tensors.Image(torch.empty(3, HEIGHT, WIDTH, dtype=torch.uint8))]
    rows = []
    for _ in range(DRAWS):
        left, top, right, bottom = transform.make_params(inputs)["padding"]
        width, height = left + WIDTH + right, top + HEIGHT + bottom
        rows.append([-left / WIDTH, -top / HEIGHT, width / WIDTH, height / HEIGHT])
    return means(rows)


def photometric():
    """Brightness, contrast, saturation, hue, contrast first, first channel; neutral where not applied."""
    transform = v2.RandomPhotometricDistort()
    inputs = [tv_tensors.Image(torch.empty(3, HEIGHT, WIDTH, dtype=torch.uint8))]
    rows = []
    for _ in range(DRAWS):
        drawn = transform.make_params(inputs)
        factors = [drawn[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")]
        channels = drawn["channel_permutation"]
        neutral = [1 if factor is None else factor for factor in factors[:3]] + [factors[3] or 0]
        rows.append([*neutral, float(drawn["contrast_before"]), 0 if channels is None else channels[0].item()])
    return means(rows)


torch.manual_seed(0)
size = {"width": WIDTH, "height": HEIGHT, "boxes": BOXES}
crops = {"three": iou_crop(BOXES), "small": iou_crop(BOXES[2:])}
write("augmentation.json", {**size, "iouCrop": crops, "zoomOut": zoom_out(), "photometricDistort": photometric()}, 5)
