"""How far a movement bends away from the straight line between its ends.

After mousetrap's MAD and AUC (Kieslich et al., 2019, doi:10.3758/s13428-019-01238-2), segment by segment: the
direct path goes from a segment's first to its last sample. Values are positive on the right-hand side of the
direct path as seen on the image, where y points down, and negative on the left.
"""

import numpy as np

from luab_attention.traces.scanpath import Scanpath


def deviations(part: Scanpath) -> np.ndarray:
    """Signed distance of each sample of one segment to its direct path, [N].

    A segment that ends where it began has no direction: then it is the distance to that point, not negative.
    """
    xy = part.xy
    if not len(xy):
        return np.zeros(0)
    way = xy[-1] - xy[0]
    length = float(np.hypot(*way))
    offset = xy - xy[0]
    if length == 0:
        return np.hypot(offset[:, 0], offset[:, 1])
    signed: np.ndarray = (way[0] * offset[:, 1] - way[1] * offset[:, 0]) / length
    return signed


def max_deviation(path: Scanpath) -> float:
    """The deviation of largest magnitude, of all segments, with its sign (mousetrap's MAD); 0 if straight."""
    found = np.concatenate([np.zeros(1), *(deviations(part) for part in path.segments())])
    return float(found[np.argmax(np.abs(found))])


def deviation_area(path: Scanpath) -> float:
    """The area between the movement and its direct path, summed over segments (mousetrap's AUC).

    Parts on the left are subtracted from those on the right. It is the signed area of the polygon that the
    direct path closes: -1/2 sum_i (x_i y_(i+1) - x_(i+1) y_i).
    """
    area = 0.0
    for part in path.segments():
        x, y = (part.xy - part.xy[0]).T
        area -= float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
    return area


def straightness(path: Scanpath) -> float | None:
    """Direct over traveled length, summed over segments: 1 is straight. None if nothing moves."""
    direct = traveled = 0.0
    for part in path.segments():
        direct += float(np.hypot(*(part.xy[-1] - part.xy[0])))
        traveled += float(np.hypot(*np.diff(part.xy, axis=0).T).sum())
    return min(direct / traveled, 1.0) if traveled > 0 else None
