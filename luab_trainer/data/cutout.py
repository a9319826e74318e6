"""The object at a click, cut out of what surrounds it: GrabCut (Rother et al., SIGGRAPH 2004).

A click says where an object is, not how far it reaches. The pixels next to the click are the object's, those
beyond the radius are not, and of those between, GrabCut decides by color: it models the colors of both sides,
and draws the border along edges of the image. Where colors say nothing, what is next to the click is left.

What was cut out may be kept, a bit for a part of an image: in the next epochs the images come again.
"""

import hashlib
import math

import cv2
import numpy as np

from luab_trainer.data.kept import Kept
from luab_vision.geometry import View

SIDE = 32  # pixels of the reduced image in which the border is drawn: small objects are a few pixels there
ROUNDS = 2  # of color models and border
SURE = 0.25  # the radius of what is the object's in any case, over that of the mix
FAR = 0.2  # share of the image, the farthest from the points, that is background whatever the radius
PART = math.sqrt(0.5) / SIDE  # image ratios: the nearest part is at most so far from a point
COLORS = 5  # in each of GrabCut's color models
BYTES = SIDE * SIDE // 8  # of a cut-out object, a bit for each part
SLOTS = 1 << 21  # cut-out objects that are kept at most, in 285 MB: those of ImageNet and more

cv2.setNumThreads(1)  # a forked process of the data loader waits forever for the others


def room_for_objects() -> Kept:
    """Where cut-out objects are kept."""
    return Kept(BYTES, SLOTS)


def cut_out(
    pixels: np.ndarray, distance: np.ndarray, radius: float, kept: Kept | None = None
) -> np.ndarray | None:
    """How much of each part of an image is the object's, float32 `[SIDE, SIDE]`: 0 or 1.

    None where too little of the image is within the radius to tell colors apart.

    Args:
        pixels: The whole image, uint8 RGB `[H, W, 3]`.
        distance: From each part of it to the nearest point, `[SIDE, SIDE]`, in image ratios.
        radius: Distance beyond which nothing is the object's, in image ratios.
        kept: Where the object may be from an earlier epoch, and is kept. None: nowhere.
    """
    radius = min(radius, float(np.quantile(distance, 1 - FAR)))
    near = distance <= radius
    if near.sum() < COLORS:
        return None
    small = cv2.resize(pixels, near.shape, interpolation=cv2.INTER_AREA)
    sides = np.where(near, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    sides[near & (distance <= max(SURE * radius, PART))] = cv2.GC_FGD
    if kept is None:
        return _grab_cut(small, sides).astype(np.float32)
    digest = hashlib.blake2b(small.tobytes() + sides.tobytes(), digest_size=16).digest()
    bits = kept.get(digest)
    if bits is None:
        bits = np.packbits(_grab_cut(small, sides)).tobytes()
        kept.put(digest, bits)
    return np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(sides.shape).astype(np.float32)


def _grab_cut(small: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Which parts are the object's, bool `[SIDE, SIDE]`.

    Args:
        small: The reduced image, uint8 RGB `[SIDE, SIDE, 3]`.
        sides: What is known of each part, in GrabCut's numbers, uint8 `[SIDE, SIDE]`.
    """
    cv2.setRNGSeed(0)  # of the color models' first clusters
    models = np.zeros((2, 1, 13 * COLORS))
    cv2.grabCut(  # type: ignore[call-overload]  # its stubs know no mask of uint8
        small, sides, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK
    )
    found: np.ndarray = np.isin(sides, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return found


def seen(found: np.ndarray, view: View, size: tuple[int, int]) -> np.ndarray:
    """What `cut_out` found, in the pixels of a crop, `[h, w]`: linear between the parts of the image.

    Args:
        found: `[SIDE, SIDE]`, of the whole image.
        view: The crop.
        size: Pixels of the crop, (h, w).
    """
    height, width = size
    x, y = view.width * SIDE / width, view.height * SIDE / height  # parts a pixel
    left, top = view.left * SIDE + (x - 1) / 2, view.top * SIDE + (y - 1) / 2  # of the first pixel
    there = np.array([[x, 0, left], [0, y, top]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop: np.ndarray = cv2.warpAffine(
        found, there, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return crop[:, ::-1] if view.flipped else crop
