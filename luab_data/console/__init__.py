"""What people read in a terminal: messages, progress, options, and one line for any exception."""
