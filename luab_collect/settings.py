"""`project.yaml`: what it may hold, each setting declared once. Unknown settings are refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from luab_collect.quality.thresholds import QualityThresholds
from luab_data.console.text import did_you_mean, printable
from luab_data.errors import RejectedRecord, SourceError
from luab_data.files.regular import read_regular

MAX_BYTES = 4 << 20  # of project.yaml: 1,000 classes with long definitions have 1 MB
MAX_NAME = 120  # characters of a class or project, as shown to annotators
MAX_CLASSES = 5_000


def _one_line(text: str) -> str:
    if text != text.strip() or printable(text) != text:
        raise ValueError("it has spaces at an end, or characters that do not print")
    return text


def _web_address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or any(char.isspace() for char in text):
        raise ValueError("it must begin with https:// or http://, without spaces")
    return _one_line(text)


Line = Annotated[str, Field(max_length=2000), AfterValidator(_one_line)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_one_line)]
Address = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Task = Literal["select", "place"]
TASKS: tuple[str, ...] = get_args(Task)


class Strict(BaseModel):
    """Settings that cannot change, of which none is unknown and none is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ClassSpec(Strict):
    """One class that annotators look for."""

    name: Name
    definition: Line = ""
    links: tuple[Address, ...] = Field(default=(), max_length=10)
    category: Name | None = None  # of its icon, on `place`
    icon: Line | None = None  # file in the project's folder, on `place`; none: its name
    folder: Line | None = None  # of its candidates, in `images`; none: its name
    confusable: tuple[Name, ...] = Field(default=(), max_length=100)  # classes whose images distract


class Shares(Strict):
    """Shares of a `select` page; together 1."""

    target: Share = 0.75  # candidates of the class that is asked for
    distractor: Share = 0.15  # candidates of confusable classes
    gold: Share = 0.10  # images whose answer is known


class Prolific(Strict):
    """Annotators who come from Prolific, with its three parameters or its signed token."""

    completion_url: Address  # `{code}` stands for the completion code
    jwks: Line | None = None  # file or address of the key set that signs entry links
    audience: Line | None = None  # of those tokens
    signed_only: bool = False  # refuse entry links without a token
    webhook_secret: Line | None = None


class UrlPlatform(Strict):
    """Annotators of any other platform: its URL parameters, and a code at the end."""

    annotator: Name = "worker"  # name of the parameter with the annotator's id
    study: Name | None = None
    session: Name | None = None
    completion_url: Address | None = None  # `{code}` stands for the completion code; none: the code is shown


class Platforms(Strict):
    """Where annotators come from besides the project's own links."""

    prolific: Prolific | None = None
    url: UrlPlatform | None = None


class Settings(Strict):
    """All settings of a project."""

    name: Name
    task: Task
    images: Path  # folder
    classes: tuple[ClassSpec, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    categories: tuple[Name, ...] = ()  # `place`: in the order of the pages of icons
    candidates: Path | None = None  # CSV `file,class`: of which classes an image may be; `select`
    gold: Path | None = None  # CSV: see `luab_collect.gold`
    database: Line | None = None  # URL, relative to the folder; none: SQLite there
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    overlap: Annotated[int, Field(ge=1, le=1000)] = 1  # annotators an image
    lease_minutes: Annotated[float, Field(ge=1, le=7 * 24 * 60, allow_inf_nan=False)] = 30
    pages_per_hit: Annotated[int, Field(ge=1, le=1000)]
    images_per_page: Annotated[int, Field(ge=1, le=200)]
    shares: Shares = Shares()
    quality: QualityThresholds = QualityThresholds.model_validate({})
    platforms: Platforms = Platforms()
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None  # of outside ids; none: kept


def parse_settings(text: str, place: str) -> Settings:
    """The settings of a YAML text; raises SourceError, which names each setting and what is allowed."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SourceError(f"{place} is not YAML that can be read: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SourceError(f"{place} is not YAML that can be read: it is nested too deep") from None
    if not isinstance(value, dict):
        raise SourceError(f"{place} holds no settings, such as `task: select`.")
    try:
        with faults_explained(place):
            return Settings.model_validate_json(json.dumps(value, default=str, allow_nan=False))
    except ValueError as error:  # also NaN and infinity
        raise SourceError(str(error) if isinstance(error, SourceError) else f"{place}: {error}.") from None


@contextmanager
def faults_explained(place: str) -> Iterator[None]:
    """Around the making of settings: a fault becomes a SourceError with a line for each setting."""
    try:
        yield
    except ValidationError as error:
        faults = [_fault(each) for each in error.errors(include_url=False)]
        more = f"\nand {len(faults) - 10} more" if len(faults) > 10 else ""
        raise SourceError(f"{place}: " + "\n".join(faults[:10]) + more) from None


def read_settings(path: Path) -> Settings:
    """The settings of a file; raises SourceError."""
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except RejectedRecord as error:
        fix = "`luab collect init` makes a project's folder."
        raise SourceError(f"{str(path)!r} cannot be read: {error.reason}. {fix}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{str(path)!r} is not UTF-8: {error}.") from error
    return parse_settings(text, str(path))


def dump_settings(settings: Settings) -> str:
    """The settings as YAML that `parse_settings` reads; what has its default is left out."""
    content = settings.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


class _Loader(yaml.SafeLoader):
    """Without aliases, which multiply, and with each key once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                name = getattr(key, "value", "a key")
                problem = f"{name!r} is no text, or there already"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _fault(detail: Mapping[str, Any]) -> str:
    """One line about one setting."""
    place = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        *parents, name = detail["loc"]
        return f"there is no setting {printable(place)!r}{did_you_mean(str(name), _known(parents))}"
    if detail["type"] == "missing":
        return f"the setting {place!r} is missing"
    got = printable(ascii(detail["input"])[:80])
    hint = ", in quotes" if detail["type"] == "string_type" else ""
    why = detail["msg"].removeprefix("Value error, ")  # pydantic's words before those of our own checks
    return f"{printable(place)} is {got}: {why}{hint}"


def _known(parents: Sequence[int | str]) -> list[str]:
    """The settings at a place."""
    models: dict[str, type[BaseModel]] = {
        "classes": ClassSpec,
        "platforms": Platforms,
        "prolific": Prolific,
        "quality": QualityThresholds,
        "shares": Shares,
        "url": UrlPlatform,
    }
    named = [str(each) for each in parents if isinstance(each, str)]
    model = models.get(named[-1], Settings) if named else Settings
    return list(model.model_fields)
