"""Writes the images of test/data/fixtures/image_folder, and image_folder.golden.json.gz: how torchvision's ImageFolder lists and reads them.

Run: python test/golden/image_folder_golden.py   (needs torchvision)
"""

import base64
import gzip
import json
import pathlib

import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from image_transforms_rule import image

HERE = pathlib.Path(__file__).parent
FOLDER = HERE.parent / "data" / "fixtures" / "image_folder"


def picture(channels, rows=14, columns=19):
    pixels = image([channels, rows, columns], torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def write():
    for name in ["Zebra", "cat", "dog/puppies"]:
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    picture(3).save(FOLDER / "cat" / "colour.jpg", quality=90)
    # A camera that was held upright.
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1).save(FOLDER / "cat" / "turned_grey.JPEG", quality=85, exif=exif)
    picture(3).save(FOLDER / "cat" / "progressive.jpg", quality=75, subsampling=0, progressive=True)
    picture(4).save(FOLDER / "Zebra" / "alpha.png")
    picture(1).save(FOLDER / "Zebra" / "grey.png")
    picture(3).quantize(16).save(FOLDER / "Zebra" / "palette.png", transparency=3)
    picture(4).convert("LA").save(FOLDER / "Zebra" / "grey_alpha.png")
    picture(3).save(FOLDER / "dog" / "lossy.webp", quality=80)
    picture(4).save(FOLDER / "dog" / "puppies" / "lossless.webp", lossless=True, exact=True)
    (FOLDER / "dog" / "notes.txt").write_text("No image.\n")


write()
dataset = ImageFolder(str(FOLDER), transform=v2.PILToTensor())
samples = []
for path, target in dataset.samples:
    x = dataset[len(samples)][0]
    samples.append({"path": str(pathlib.Path(path).relative_to(FOLDER)), "target": target, "shape": list(x.shape), "data": base64.b64encode(x.contiguous().numpy().tobytes()).decode()})
document = {"classes": dataset.classes, "classToIdx": dataset.class_to_idx, "samples": samples}
(HERE / "image_folder.golden.json.gz").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
