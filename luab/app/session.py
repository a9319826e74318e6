"""What one visitor of the page looks at, and what its events do, without Gradio. Input may be hostile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from luab.app.asking import Seen, ask_all, read
from luab.app.cards import cards, note, problem, sized
from luab.app.samples import sample
from luab_eval.models import Classifier
from luab_eval.report.galleries import with_cross

SIDE = 560  # pixels of the picture's longer side
EMPTY = "Give an image first."
FIRST = "Click on the picture to ask for the attention loss of that click."

Shown = tuple["Session | None", Image.Image | None, str]


@dataclass(frozen=True)
class Session:
    """What one visitor looks at: the models' answers, the picture, and the click in ratios, x first."""

    seen: tuple[Seen, ...]
    picture: Image.Image
    click: tuple[float, float] | None = None

    def shown(self, form: str) -> Shown:
        """The state, the picture and the cards."""
        picture = self.picture if self.click is None else with_cross(self.picture, *self.click)
        text = cards(self.seen, self.click, form)
        return self, picture, text if self.click else note(FIRST) + text


class Handlers:
    """What the page's events call: each returns the state, the picture, and HTML."""

    def __init__(self, classifiers: Sequence[Classifier]):
        self.classifiers = tuple(classifiers)

    def closed(self) -> Shown:
        """The file was taken away."""
        return None, None, note(EMPTY)

    def opened(self, data: bytes | None, form: str) -> Shown:
        """A file was given: its bytes."""
        if data is None:
            return self.closed()
        try:
            pixels = read(data)
            session = Session(ask_all(self.classifiers, pixels), sized(Image.fromarray(pixels), SIDE))
        except ValueError as error:
            return None, None, problem(str(error))
        return session.shown(form)

    def sampled(self, number: int, form: str) -> tuple[int, Session | None, Image.Image | None, str]:
        """Another image of the sample was asked for; it comes with its annotator's click."""
        data, click = sample(number)
        session, picture, text = self.opened(data, form)
        if session is not None and click is not None:
            session, picture, text = replace(session, click=click).shown(form)
        return number + 1, session, picture, text

    def clicked(self, session: Session | None, place: Any, form: str) -> Shown:
        """The picture was clicked on; `place`: x and y in its pixels."""
        if session is None:
            return self.closed()
        width, height = session.picture.size
        try:
            x, y = (float(value) for value in place)
        except (OverflowError, TypeError, ValueError):
            return session.shown(form)
        if not (0 <= x <= width and 0 <= y <= height):  # also false for NaN
            return session.shown(form)
        # The middle of the pixel, which the browser counts from 0.
        click = (min((x + 0.5) / width, 1.0), min((y + 0.5) / height, 1.0))
        return replace(session, click=click).shown(form)

    def changed(self, session: Session | None, form: str) -> Shown:
        """Another form of the loss was chosen."""
        return self.closed() if session is None else session.shown(form)
