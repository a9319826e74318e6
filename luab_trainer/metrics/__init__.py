"""The metrics of an evaluation during training, in the form that transformers' Trainer expects."""
