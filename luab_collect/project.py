"""A project's folder: its settings with all paths resolved, its texts and its key.

`luab collect init` makes:

shop/project.yaml       settings: `luab_collect.settings`
shop/items.jsonl        images that are asked about: `luab_collect.items`
shop/icons/             the classes' icons, if there are any: `luab_collect.icons`
shop/instructions.md    what annotators read first, Markdown
shop/consent.md         what they agree to, Markdown
shop/secret.key         random, for keyed hashes (pseudonyms, addresses of images)
shop/collect.sqlite     events and everything else, unless `database` says otherwise

The key and the database identify people: the folder is readable by its owner only.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from luab_collect.quality.thresholds import QualityThresholds
from luab_collect.settings import ClassSpec, Platforms, Settings, Shares, read_settings
from luab_data.console.names import few
from luab_data.console.text import did_you_mean
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular, require_file_inside

SETTINGS = "project.yaml"
ITEMS = "items.jsonl"
INSTRUCTIONS = "instructions.md"
CONSENT = "consent.md"
KEY = "secret.key"
DATABASE = "collect.sqlite"

KEY_BYTES = 32
MAX_TEXT_BYTES = 256 << 10  # of a Markdown text
OTHER = "other"  # the category of classes without one


@dataclass(frozen=True)
class Project:
    """A project that was read and checked. Paths are absolute."""

    folder: Path
    settings: Settings
    images: Path
    candidates: Path | None
    gold: Path | None
    categories: tuple[str, ...]  # `place`: in order; () on `select`

    @staticmethod
    def read(folder: str | Path) -> "Project":
        """Reads and checks a project's folder; raises SourceError with the fix."""
        folder = Path(folder)
        if not (folder / SETTINGS).exists():
            raise SourceError(
                f"{str(folder)!r} is no project: it has no {SETTINGS}. "
                f"`luab collect init {folder} --task select --images IMAGES --classes CLASSES` makes one."
            )
        return project_of(folder, read_settings(folder / SETTINGS))

    @property
    def name(self) -> str:
        """Shown to annotators."""
        return self.settings.name

    @property
    def language(self) -> str:
        """BCP 47 tag of the pages' language."""
        return self.settings.language

    @property
    def task(self) -> str:
        """`select` or `place`."""
        return self.settings.task

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """The classes in their order, which is that of the exported labels."""
        return self.settings.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(each.name for each in self.classes)

    @property
    def database(self) -> str:
        """URL of the database; a relative file of SQLite is one in the folder."""
        return self.settings.database or f"sqlite:///{self.folder / DATABASE}"

    @property
    def seed(self) -> int:
        """Decides the pages of work."""
        return self.settings.seed

    @property
    def overlap(self) -> int:
        """Annotators an image."""
        return self.settings.overlap

    @property
    def lease_minutes(self) -> float:
        """After which an unfinished page goes to another annotator."""
        return self.settings.lease_minutes

    @property
    def pages_per_hit(self) -> int:
        """Pages of work in an assignment."""
        return self.settings.pages_per_hit

    @property
    def images_per_page(self) -> int:
        """Images of a page of work."""
        return self.settings.images_per_page

    @property
    def shares(self) -> Shares:
        """Shares of a `select` page."""
        return self.settings.shares

    @property
    def quality(self) -> QualityThresholds:
        """From where on a rule proposes that a person looks."""
        return self.settings.quality

    @property
    def platforms(self) -> Platforms:
        """Where annotators come from."""
        return self.settings.platforms

    @property
    def retention_days(self) -> int | None:
        """After which outside ids are removed."""
        return self.settings.retention_days

    def secret(self) -> bytes:
        """The key of all keyed hashes; raises SourceError if it is missing or not of its size."""
        path = self.folder / KEY
        fix = "Restore it from a copy: with another key, annotators who come back get new pseudonyms."
        try:
            key = read_regular(path, KEY_BYTES)
        except RejectedRecord as error:
            raise SourceError(f"{path}: {error.reason}. {fix}") from error
        if len(key) != KEY_BYTES:
            raise SourceError(f"{path} has {len(key)} bytes, not {KEY_BYTES}. {fix}")
        return key

    def instructions(self) -> str:
        """Markdown; raises SourceError."""
        return self._text(INSTRUCTIONS)

    def consent(self) -> str:
        """Markdown; raises SourceError."""
        return self._text(CONSENT)

    def _text(self, name: str) -> str:
        try:
            return read_regular(self.folder / name, MAX_TEXT_BYTES).decode("utf-8-sig")
        except RejectedRecord as error:
            raise SourceError(f"{self.folder / name}: {error.reason}.") from error
        except UnicodeDecodeError as error:
            raise SourceError(f"{self.folder / name} is not UTF-8: {error}.") from error


def project_of(folder: Path, settings: Settings, place: str | None = None) -> Project:
    """The project with these settings, checked as a whole; raises SourceError.

    Args:
        folder: Its folder.
        settings: Its settings.
        place: Where they are, for errors; None: in the folder.
    """
    folder = folder.resolve()
    place = place or str(folder / SETTINGS)
    images = (folder / settings.images).resolve()
    if not images.is_dir():
        raise SourceError(f"{place}: images is {str(images)!r}, and there is no such folder.")
    files: dict[str, Path] = {}
    for name in ("candidates", "gold"):
        given: Path | None = getattr(settings, name)
        if given is not None:
            files[name] = (folder / given).resolve()
            if not files[name].is_file():
                raise SourceError(f"{place}: {name} is {str(files[name])!r}, and there is no such file.")
    _check_classes(settings, place)
    _check_icons(folder, settings, place)
    shares = settings.shares
    if abs(shares.target + shares.distractor + shares.gold - 1) > 1e-6 or not shares.target:
        raise SourceError(f"{place}: shares are {shares}; target must be more than 0, and the sum 1.")
    if settings.task == "place" and settings.images_per_page != 1:
        raise SourceError(f"{place}: images_per_page is {settings.images_per_page}; `place` has 1.")
    if settings.task == "place":
        named = tuple(
            each.model_copy(update={"category": each.category or OTHER}) for each in settings.classes
        )
        settings = settings.model_copy(update={"classes": named})
    categories = _categories(settings, place)
    return Project(folder, settings, images, files.get("candidates"), files.get("gold"), categories)


def _check_classes(settings: Settings, place: str) -> None:
    names = [each.name for each in settings.classes]
    require_different(names, f"{place}: classes")
    for each in settings.classes:
        for other in each.confusable:
            if other not in names or other == each.name:
                raise SourceError(
                    f"{place}: class {each.name!r} is confusable with {other!r}, which is no other class"
                    f"{did_you_mean(other, [name for name in names if name != each.name])}."
                )


def require_different(names: Iterable[str], where: str) -> None:
    """Raises SourceError for names that are the same, or differ in case and spaces only."""
    counts = Counter(" ".join(name.replace("_", " ").split()).casefold() for name in names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise SourceError(
            f"{where} has names that are the same, or differ in case, spaces or _ only: {few(twice)}."
        )


def _check_icons(folder: Path, settings: Settings, place: str) -> None:
    for each in settings.classes:
        if each.icon is None:
            continue
        path = folder / each.icon
        try:
            require_file_inside(path, folder)
        except RejectedRecord:
            raise SourceError(
                f"{place}: the icon of {each.name!r} is {each.icon!r}, which is no file in {str(folder)!r}."
            ) from None


def _categories(settings: Settings, place: str) -> tuple[str, ...]:
    """The categories of icons in order: those that are listed, then others as the classes name them."""
    if settings.task != "place":
        return ()
    named = [name for name in dict.fromkeys(each.category for each in settings.classes) if name]
    if not settings.categories:
        return tuple(named)
    require_different(settings.categories, f"{place}: categories")
    for name in named:
        if name not in settings.categories:
            raise SourceError(
                f"{place}: a class is of category {name!r}, which categories does not list"
                f"{did_you_mean(name, settings.categories)}."
            )
    return tuple(name for name in settings.categories if name in named)


def write_key(path: Path) -> None:
    """A new random key that only this user can read; an existing one is never replaced."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
