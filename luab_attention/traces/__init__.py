"""Traces: what a trainer weighs (`weighting`), and tools for scanpaths of any source.

row -> rows.scanpaths_of -> Scanpath -> resampling, kinematics, deviation, fixations, dwell, quality
-> features: one line a trace;  filters: a reason;  export
"""

from luab_attention.traces.weighting import TRACE_NEGLIGIBLE, TRACE_TIME_CONSTANT, trace

__all__ = ["TRACE_NEGLIGIBLE", "TRACE_TIME_CONSTANT", "trace"]
