"""Finery Markets: dealer liquidity over one WebSocket, with native cancel-on-disconnect."""
