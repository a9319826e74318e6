"""The library's builders, one module each, with a bound on what a file may unpack to.

A module has the name of the library's, and so has its builder: both use the same cache.
"""
