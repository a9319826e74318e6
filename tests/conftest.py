"""Fixtures that every test may use. Test data comes from factories; real data only where it is present."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real images and raw files beside the checkout; without it, skips the test."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED
