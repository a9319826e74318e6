"""Training arguments: those of transformers, what does not go together, and files of options."""
