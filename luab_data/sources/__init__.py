"""Where raw bytes come from: folders, zips and tar archives, read in place in bounded time and memory."""
