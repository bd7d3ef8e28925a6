"""Moonbase: Phoenix channels over WebSocket, signed amounts, twenty joins an hour."""
