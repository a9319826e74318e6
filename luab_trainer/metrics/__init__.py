"""What an evaluation during training reports, in the form that the Trainer of transformers takes."""
