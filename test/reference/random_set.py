"""`randomSet` of test/support/evaluated-images.ts once more: the same images from the same seed."""

import math

FILES = [
    ("instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"),
    ("gt_dataset.json", "dt_dataset.json"),
]


def options(images, classes, objects, grid, flagged):
    return {"images": images, "classes": classes, "objects": objects, "grid": grid, "flagged": flagged}


SETS = [
    ("crowds, ignored objects, equal scores, IoUs on the thresholds", 1, options(40, 4, 12, 4, 0.2)),
    ("fractional coordinates, no flags", 2, options(60, 3, 6, 0, 0)),
    ("more than 100 detections of a class in an image", 3, options(8, 1, 150, 2, 0.1)),
    ("no objects, detections alone", 6, options(9, 2, 0, 4, 0)),
    ("all flagged", 7, options(12, 2, 8, 4, 1)),
    *(
        (f"{images} images", 10 + i, options(images, 1 + 3 * i % 8, 4 + 3 * i % 9, (4, 0, 8)[i % 3], (0.2, 0)[i % 4 // 3]))
        for i, images in enumerate([1, 1, 2, 3, 5, 10, 20, 50, 75, 100, 150, 200, 300, 400, 500])
    ),
]


def mulberry32(seed):
    state = seed
    mask = 0xFFFFFFFF

    def number():
        nonlocal state
        state = (state + 0x6D2B79F5) & mask
        t = ((state ^ state >> 15) * (1 | state)) & mask
        t = (t + (t ^ t >> 7) * (61 | t) & mask) & mask ^ t
        return (t ^ t >> 14) / 2**32

    return number


def random_set(seed, images, classes, objects, grid, flagged):
    """A list of (detections, objects): rows [label, score, xmin, ymin, xmax, ymax], and annotations without ids."""
    number = mulberry32(seed)

    def integer(count):
        return math.floor(number() * count)

    def snap(value):
        return math.floor(value / grid + 0.5) * grid if grid > 0 else value

    def flags(rows):
        return [int(number() < flagged) for _ in rows]

    def image():
        detections, truth = [], []
        for _ in range(integer(objects + 1)):
            label = 2 + integer(classes)
            x, y, size = snap(number() * 200), snap(number() * 200), (8, 24, 60, 150, 300)[integer(5)]
            width, height = snap(size * (0.6 + number())), snap(size * (0.6 + number()))
            truth.append([label, x, y, x + width, y + height])
            for _ in range(integer(4)):
                left, top = snap(x + (number() - 0.5) * width * 0.3), snap(y + (number() - 0.5) * height * 0.3)
                right, bottom = (snap(side * (0.85 + 0.3 * number())) for side in (width, height))
                shown = 1 + integer(classes + 1) if number() < 0.1 else label
                detections.append([shown, integer(20) / 20, left, top, left + right, top + bottom])
        for _ in range(integer(6)):
            x, y, width, height = snap(number() * 200), snap(number() * 200), snap(number() * 120), snap(number() * 120)
            detections.append([1 + integer(classes + 1), number(), x, y, x + width, y + height])
        crowd, ignore, _ = flags(truth), flags(truth), flags(truth)  # the last: difficult, for VOC
        annotations = [
            {"label": label, "box": box, "area": (box[2] - box[0]) * (box[3] - box[1]) * 0.7, "crowd": c, "ignore": i}
            for (label, *box), c, i in zip(truth, crowd, ignore)
        ]
        return detections, annotations

    return [image() for _ in range(images)]
