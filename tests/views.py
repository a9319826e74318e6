"""A transform that always takes the same view."""

from luab_trainer.geometry import View
from luab_trainer.transforms import EvalTransform, ImageSettings


class Through(EvalTransform):
    def __init__(self, view: View, size: int = 2):
        super().__init__(ImageSettings(size=size))
        self.fixed = view

    def view(self, width, height, rng=None):
        return self.fixed
