"""The Hub on this machine, for these tests."""

from fixtures.hub.served import _no_token_anywhere, _served, clients, hub

__all__ = ["_no_token_anywhere", "_served", "clients", "hub"]
