"""ImageNet's boxes: a folder of XML files, pixels counted from 0.

The last pixel of a box is inside it. An image whose boxes are all of one class is of this class.
"""

from pathlib import Path

from luab_attention.convert.box_folders import box_records
from luab_attention.convert.records import Read
from luab_attention.convert.source import AttentionSource

SOURCE = AttentionSource("ImageNet boxes", "drawn by annotators", homepage="https://image-net.org")


def read(path: Path) -> Read:
    """A record for each XML below the folder.

    Raises:
        SourceError: there is none.
    """
    return box_records(path, base=0, one_class=True)
