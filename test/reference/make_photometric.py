"""photometric.json: torchvision's adjust_* functions, in the orders of RandomPhotometricDistort."""

import base64

import torch

import torchvision_ops  # before torchvision
from torchvision.transforms import _functional_tensor as F

from reference import picture, write

NEUTRAL = {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0, "contrastFirst": True, "channels": [0, 1, 2]}
CASES = [
    {"brightness": 0.875},
    {"brightness": 1.125},
    {"contrast": 0.5},
    {"contrast": 1.5},
    {"saturation": 0.5},
    {"saturation": 1.5},
    {"saturation": 0},
    {"hue": 0.05},
    {"hue": -0.05},
    {"hue": 0.5},
    {"hue": -0.31},
    {"channels": [2, 0, 1]},
    {"brightness": 1.1, "contrast": 0.7, "saturation": 1.3, "hue": 0.03, "channels": [1, 0, 2]},
    {"brightness": 0.9, "contrast": 1.4, "saturation": 0.6, "hue": -0.04, "contrastFirst": False, "channels": [2, 1, 0]},
]
WIDTH, HEIGHT = 20, 12


def distort(image, choice):
    contrast = lambda image: F.adjust_contrast(image, choice["contrast"])
    image = F.adjust_brightness(image, choice["brightness"])
    if choice["contrastFirst"]:
        image = contrast(image)
    image = F.adjust_saturation(image, choice["saturation"])
    if choice["hue"] != 0:  # left out by RandomPhotometricDistort too, where it is not drawn
        image = F.adjust_hue(image, choice["hue"])
    if not choice["contrastFirst"]:
        image = contrast(image)
    return image[choice["channels"]]


def case(change):
    choice = NEUTRAL | change
    name = f"photometric{list(change)}"
    pixels = picture(name, WIDTH, HEIGHT)
    pixels[0] = [[grey, grey, grey] for grey in range(0, 13 * WIDTH, 13)]  # no hue at all
    image = distort(torch.from_numpy(pixels).permute(2, 0, 1), choice)
    data = image.permute(1, 2, 0).contiguous().numpy().tobytes()
    return {"name": name, "choice": choice, "base64": base64.b64encode(data).decode()}


write("native/photometric.json", {"width": WIDTH, "height": HEIGHT, "cases": [case(each) for each in CASES]})
