"""How an adapter reaches the network, so that tests and simulations can put their own in place."""

import ssl

import attrs

from botkit.transport import Dial

__all__ = ["Network"]


@attrs.frozen(kw_only=True)
class Network:
    """What `open_ws` and `open_http` are given; the real network, verified, if nothing is set."""

    dial: Dial | None = None
    ssl_context: ssl.SSLContext | None = None
