"""The token of the Hub on this machine leaks into nothing, in each of these tests."""

from fixtures.hub.served import _no_token_anywhere

__all__ = ["_no_token_anywhere"]
