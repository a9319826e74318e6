"""Terminal output: messages, progress, options, and one line for any exception."""
