"""Sources of raw bytes: folders, zips and tar archives, read in place in bounded time and memory."""
