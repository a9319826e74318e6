"""The Hugging Face Hub: datasets as sources, uploads, and calls that outlast what passes."""
