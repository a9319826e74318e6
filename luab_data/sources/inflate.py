"""gzip with Intel's ISA-L if its wheel is installed (four times as fast), else with Python's own."""

try:
    from isal.igzip import IGzipFile as GzipFile
    from isal.isal_zlib import error as InflateError
except ImportError:
    from gzip import GzipFile  # type: ignore[assignment]  # the same methods
    from zlib import error as InflateError  # type: ignore[assignment]

__all__ = ["GzipFile", "InflateError"]
