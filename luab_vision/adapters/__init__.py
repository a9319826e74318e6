"""What other libraries keep private and this package needs: one module for each library, held to by tests."""
