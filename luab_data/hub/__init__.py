"""The Hugging Face Hub: datasets as sources, uploads, and retries."""
