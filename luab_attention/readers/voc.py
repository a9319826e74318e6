"""PASCAL VOC boxes: a folder of XML files, pixels counted from 1.

The last pixel of a box is inside it. Parts of objects are not read.
"""

from pathlib import Path

from luab_attention.convert.box_folders import box_records
from luab_attention.convert.records import Read
from luab_attention.convert.source import AttentionSource

SOURCE = AttentionSource(
    "PASCAL VOC boxes", "drawn by annotators", homepage="http://host.robots.ox.ac.uk/pascal/VOC"
)


def read(path: Path) -> Read:
    """A record for each XML below the folder.

    Raises:
        SourceError: there is none.
    """
    return box_records(path, base=1, one_class=False)
