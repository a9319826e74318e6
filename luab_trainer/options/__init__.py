"""Training arguments: transformers' arguments, contradictions, and files of options."""
