"""The small record beside a dataset: how its attention was measured, and whether it may be passed on."""

from dataclasses import dataclass, replace
from typing import Any

from luab_data.errors import SourceError

MAX_TEXT = 1000  # characters
MAX_PER_DEGREE = 10_000.0  # pixels


@dataclass(frozen=True)
class AttentionSource:
    """What is known about a source.

    Attributes:
        title: its name.
        device: how attention was measured.
        license: of the byproducts, "" if unknown.
        refusal: why the data may not be passed on; "" if they may.
        pixels_per_degree: in a degree of visual angle, of the screen if the source has one, otherwise of the
            image.
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
            "may_be_passed_on": self.may_be_passed_on,
        }

    @property
    def may_be_passed_on(self) -> bool | None:
        """None: nothing forbids it, and the license is not known."""
        if self.refusal:
            return False
        return True if self.license else None

    def stated(
        self,
        device: str | None = None,
        license: str | None = None,
        pixels_per_degree: float | None = None,
        sigma: float | None = None,
        refusal: str | None = None,
    ) -> "AttentionSource":
        """With what a user states in place of its own; None keeps that. A refusal of its own stays.

        Raises:
            SourceError: an empty or absurdly long text, or a number out of range; names the option.
        """
        texts = {"device": device, "license": license, "refusal": refusal}
        for (name, text), option in zip(texts.items(), ("device", "license", "do-not-pass-on"), strict=True):
            if text is not None and not 0 < len(text.strip()) <= MAX_TEXT:
                raise SourceError(f"--{option}: allowed is a text of 1 to {MAX_TEXT:,} characters.")
            texts[name] = None if text is None else text.strip()
        if self.refusal:
            texts["refusal"] = None
        numbers = {"pixels_per_degree": (pixels_per_degree, MAX_PER_DEGREE), "sigma": (sigma, 1.0)}
        for name, (value, most) in numbers.items():
            if value is not None and not 0 < value <= most:
                option = name.replace("_", "-")
                raise SourceError(f"--{option} {value:g}: allowed is a number above 0, at most {most:g}.")
        given: dict[str, Any] = {**texts, "pixels_per_degree": pixels_per_degree, "sigma": sigma}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def require_may_be_passed_on(self, option: str) -> None:
        """Raises SourceError, with the reason, if the data may not be passed on."""
        if self.refusal:
            raise SourceError(
                f"{option}: {self.title} may not be passed on, not even to a private repository: "
                f"{self.refusal.rstrip('.')}. Leave the option out; the folder stays on this machine."
            )

    def license_warning(self, option: str) -> str | None:
        """What to say before an upload if the license is not known."""
        if self.may_be_passed_on is not None:
            return None
        return (
            f"{option}: the license of {self.title} is not known here: may_be_passed_on is null. Check "
            "that you may publish it, and state its license with --license."
        )
