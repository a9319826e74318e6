"""What an evaluation during training reports, in the form that transformers\x27 Trainer takes."""
