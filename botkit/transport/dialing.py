"""Connections: TCP, a proxy's tunnel where the environment names one, TLS on top."""

import base64
import ssl
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import h11
import trio

from botkit.errors import ConfigError, VenueUnreachableError

__all__ = ["Dial", "Target", "connect"]

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connect to (host, port) without TLS; raises `OSError`. Tests hand in a simulated network's."""

USER_AGENT: Final = "botkit"  # some venues' gates turn away who gives none
_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_HEAD_MAX: Final = 16_384
_SUCCESS_CLASS: Final = 2


@attrs.frozen
class Target:
    """Where a URL leads. Its text shows neither the query nor user and password."""

    scheme: str
    host: str
    port: int
    resource: str = attrs.field(repr=False)  # path and query: a query may carry a signature

    @classmethod
    def of(cls, url: str, schemes: tuple[str, ...]) -> "Target":
        """Take `url` apart; raise `ConfigError` if it is not one of `schemes` with a host."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:  # a port or an IPv6 address that is none
            parts, port = urllib.parse.urlsplit(url.partition(":")[0] + ":"), 0
        if not url.isascii() or parts.scheme not in schemes or not parts.hostname or port == 0:
            shown = f"{parts.scheme or '?'}://{parts.hostname or '?'}"
            raise ConfigError(
                f"the URL {shown} is not usable: it needs one of {', '.join(schemes)}, a host, "
                "a port between 1 and 65535 if it names one, and nothing but ASCII"
            )
        query = f"?{parts.query}" if parts.query else ""
        default = _PORTS.get(parts.scheme, 0)
        return cls(parts.scheme, parts.hostname, port or default, (parts.path or "/") + query)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme in ("wss", "https")

    @property
    def authority(self) -> str:
        """Host and, where it is not the usual one, port: as in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.resource.partition('?')[0]}"


async def connect(
    target: Target,
    *,
    timeout_s: float,
    ssl_context: ssl.SSLContext | None = None,
    dial: Dial | None = None,
) -> trio.abc.Stream:
    """Return a stream to `target`, TLS already agreed on where its scheme wants it.

    Without `dial` that is the real network: through the proxy that HTTPS_PROXY, HTTP_PROXY or
    ALL_PROXY name, unless NO_PROXY excepts the host. The certificate is verified by
    `ssl_context`, by default against the system's authorities.

    Raises `VenueUnreachableError` with the reason: nothing of ours was sent.
    """
    opened: list[trio.abc.Stream] = []
    try:
        with trio.fail_after(timeout_s):
            proxy = None if dial else _proxy_for(target)
            if proxy is None:
                opened.append(await (dial or trio.open_tcp_stream)(target.host, target.port))
            else:
                await _open_tunnel(proxy, target, opened)
            if target.secure:
                await _start_tls(opened, target.host, ssl_context)
    except trio.TooSlowError:
        await _discard(opened)
        raise VenueUnreachableError(f"{target}: no connection within {timeout_s:g} s") from None
    except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError) as exc:
        await _discard(opened)
        raise VenueUnreachableError(f"{target}: cannot connect: {_reason(exc)}") from exc
    except BaseException:
        await _discard(opened)
        raise
    return opened[-1]


async def _discard(opened: list[trio.abc.Stream]) -> None:
    """Close the outermost stream, at once, also when we are being canceled."""
    if opened:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(opened[-1])


def _reason(exc: BaseException) -> str:
    """Return the innermost reason: TLS errors come wrapped, and trio tells each address apart."""
    while exc.__cause__ is not None and not isinstance(exc, ssl.SSLError):
        exc = exc.__cause__
    if isinstance(exc, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(str(each) for each in exc.exceptions))
    return str(exc) or type(exc).__name__


async def _start_tls(
    opened: list[trio.abc.Stream], host: str, ssl_context: ssl.SSLContext | None
) -> None:
    # `https_compatible`: closing does not wait for the peer's good-bye, which may never come.
    secured = trio.SSLStream(
        opened[-1],
        ssl_context or ssl.create_default_context(),
        server_hostname=host,
        https_compatible=True,
    )
    opened.append(secured)
    await secured.do_handshake()


def _proxy_for(target: Target) -> Target | None:
    """Return the proxy that the environment names for `target`, user and password as resource."""
    known = urllib.request.getproxies_environment()
    url = known.get("https" if target.secure else "http") or known.get("all")
    if not url or urllib.request.proxy_bypass(f"{target.host}:{target.port}"):
        return None
    proxy = Target.of(url if "://" in url else f"http://{url}", ("http", "https"))
    user = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
    if user.username is None:
        return attrs.evolve(proxy, resource="")
    pair = f"{urllib.parse.unquote(user.username)}:{urllib.parse.unquote(user.password or '')}"
    return attrs.evolve(proxy, resource=base64.b64encode(pair.encode()).decode())


async def _open_tunnel(proxy: Target, target: Target, opened: list[trio.abc.Stream]) -> None:
    """Connect to `proxy` and have it CONNECT to `target`."""
    opened.append(await trio.open_tcp_stream(proxy.host, proxy.port))
    if proxy.secure:
        await _start_tls(opened, proxy.host, None)
    host = f"[{target.host}]" if ":" in target.host else target.host
    authority = f"{host}:{target.port}"
    headers = [("Host", authority)]
    if proxy.resource:
        headers.append(("Proxy-Authorization", f"Basic {proxy.resource}"))
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
    request = h11.Request(method="CONNECT", target=authority, headers=headers)
    await opened[-1].send_all(parser.send(request) or b"")
    parser.send(h11.EndOfMessage())
    while (event := parser.next_event()) is h11.NEED_DATA:
        parser.receive_data(bytes(await opened[-1].receive_some()))
    status = event.status_code if isinstance(event, h11.Response) else None
    if status is None or status // 100 != _SUCCESS_CLASS:
        raise OSError(
            f"the proxy {proxy.scheme}://{proxy.authority} answered CONNECT with "
            f"{status or 'nothing usable'}"
        )
