"""What a person looks at before she decides: the quality of what was collected, read from the database."""
