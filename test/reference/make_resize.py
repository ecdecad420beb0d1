"""resize.json: OpenCV's INTER_LINEAR."""

import base64

import cv2

from reference import picture, write

CASES = [
    ((7, 5), (16, 11)),
    ((33, 21), (12, 9)),
    ((24, 16), (24, 32)),
    ((13, 9), (6, 4)),
    ((24, 16), (12, 8)),  # halves: OpenCV takes the mean of four
    ((1, 1), (3, 2)),
    ((40, 3), (9, 8)),
]


def case(source, target):
    image = picture(f"resize{source}", *source)
    resized = cv2.resize(image, target, interpolation=cv2.INTER_LINEAR)
    return {
        "name": f"resize{source}",
        "from": {"width": source[0], "height": source[1]},
        "to": {"width": target[0], "height": target[1]},
        "base64": base64.b64encode(resized.tobytes()).decode(),
    }


write("native/resize.json", [case(*each) for each in CASES])
