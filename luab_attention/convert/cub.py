"""The lists of CUB-200-2011: `id value` a line."""

from collections.abc import Iterator
from pathlib import Path

from luab_attention.convert.tables import plain_rows
from luab_data.errors import RejectedRecord, SourceError


class Cub:
    """The names and classes of CUB's images.

    Raises:
        SourceError: `images.txt` is missing or broken.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._names: dict[int, str] = {}
        for number, cells in self.rows("images.txt", 2):
            if isinstance(cells, RejectedRecord):
                raise SourceError(f"{folder / 'images.txt'}, line {number}: {cells.reason}.")
            if not (cells[0].isascii() and cells[0].isdigit()) or "/" not in cells[1]:
                raise SourceError(f"{folder / 'images.txt'}, line {number}: allowed is: id class/name.jpg")
            self._names[int(cells[0])] = cells[1]

    def of(self, image: int) -> tuple[str, str]:
        """The path and the class of an image: `001.Black_footed_Albatross`. Raises RejectedRecord."""
        if image not in self._names:
            raise RejectedRecord(f"images.txt lists no image {image}")
        return self._names[image], self._names[image].partition("/")[0]

    def rows(self, name: str, cells: int) -> Iterator[tuple[int, list[str] | RejectedRecord]]:
        """The number and the fields of each line of a list; of a line that is none, the reason.

        Raises:
            SourceError: there is no such list.
        """
        path = self.folder / name
        if not path.is_file():
            raise SourceError(f"there is no {path}: pass the folder CUB_200_2011.")
        for number, fields in plain_rows(path, "CUB"):
            if not isinstance(fields, RejectedRecord) and len(fields) != cells:
                yield number, RejectedRecord(f"{len(fields)} fields, allowed are {cells}")
            else:
                yield number, fields
