"""The small record beside a dataset: how its attention was measured, and whether it may be passed on."""

from dataclasses import dataclass
from typing import Any

from luab_data.errors import SourceError


@dataclass(frozen=True)
class AttentionSource:
    """What is known about a source.

    Attributes:
        title: its name.
        device: how attention was measured.
        license: of the byproducts, "" if unknown.
        refusal: why the data may not be passed on; "" if they may.
        pixels_per_degree: in a degree of visual angle: of the screen that the source has, otherwise of the image.
        sigma: of the blur that its authors use, ratio of the image's width.
        homepage: where it is published.
        citation: BibTeX.
        brings_images: whether its files hold the images.
    """

    title: str
    device: str
    license: str = ""
    refusal: str = ""
    pixels_per_degree: float | None = None
    sigma: float | None = None
    homepage: str = ""
    citation: str = ""
    brings_images: bool = False

    def column(self, pixels_per_degree: float | None = None) -> dict[str, Any]:
        """The value of a row's column `attention_source`.

        Args:
            pixels_per_degree: of the row's image.
        """
        return {
            "device": self.device,
            "pixels_per_degree": pixels_per_degree,
            "sigma": self.sigma,
            "license": self.license or None,
            "may_be_passed_on": not self.refusal,
        }

    def require_may_be_passed_on(self, option: str) -> None:
        """Raises SourceError, with the reason, if the data may not be passed on."""
        if self.refusal:
            raise SourceError(
                f"{option}: {self.title} may not be passed on, not even to a private repository: "
                f"{self.refusal} Leave the option out; the folder stays on this machine."
            )
