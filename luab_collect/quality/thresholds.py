"""The key `quality` of project.yaml: from where on a rule proposes that a person looks."""

from pydantic import BaseModel, ConfigDict, Field


class QualityThresholds(BaseModel):
    """Shares are 0 to 1.

    Attributes:
        gold_recall: Propose where less of what gold images show was found. 0: never.
        gold_precision: Propose where less of what was said of gold images is so. 0: never.
        in_box: Propose where fewer points are inside the gold images' boxes. 0: never.
        majority: Propose where fewer answers are those of most others. 0: never.
        distance: Propose where the median distance to the others' points is larger, in ratios. 2: never.
        min_points: Fewer points than this say nothing about center and distance.
        center: Propose where more points are on the image's center. 1: never.
        fast: Propose where a page was visible for less than this share of the project's median. 0: never.
        unmoved: Propose where more of the clicks had no movement before. 1: never.
        replayed: Propose where more traces than this are those of other images or people.
        untrusted: Propose where more events than this were made by a program.
        mismatched: Propose where more events than this were elsewhere on the screen than they say.
        unseen: Propose where more of the images never came in the browser. 1: never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    gold_recall: float = Field(0.7, ge=0, le=1)
    gold_precision: float = Field(0.7, ge=0, le=1)
    in_box: float = Field(0.5, ge=0, le=1)
    majority: float = Field(0.7, ge=0, le=1)
    distance: float = Field(0.25, ge=0, le=2)
    min_points: int = Field(10, ge=0)
    center: float = Field(0.5, ge=0, le=1)
    fast: float = Field(0.25, ge=0, le=1)
    unmoved: float = Field(0.2, ge=0, le=1)
    replayed: int = Field(0, ge=0)
    untrusted: int = Field(0, ge=0)
    mismatched: int = Field(0, ge=0)
    unseen: float = Field(0.1, ge=0, le=1)
