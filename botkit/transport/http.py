"""HTTP requests, their failures told apart by whether the venue may have acted on them."""

import functools
import logging
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import h11
import httpcore
import httpx
import trio

from botkit.errors import (
    ConfigError,
    OrderOutcomeUnknownError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
    VenueUnreachableError,
)
from botkit.transport.dialed import DialedTransport, reason_of
from botkit.transport.dialing import USER_AGENT, Dial, Target
from botkit.transport.inflating import inflate

__all__ = ["HttpLimits", "HttpLink", "HttpReply", "open_http"]

# They log whole URLs, and a signed request carries its signature in one.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_ERRORS: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
    trio.BrokenResourceError,
    OSError,
    VenueProtocolError,
)
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
)
_OUR_MISTAKE: Final = (httpx.LocalProtocolError, httpcore.LocalProtocolError, UnicodeError)
# What httpcore does before the first byte of a request; anything else counts as sending.
_CONNECTING: Final = ("connection.", "socks.")
_SUCCESS_CLASS: Final = 2
_HEADERS: Final = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
# httpcore closes a socket whose TLS handshake times out, but not one where it is canceled.
_CONNECT_SHARE: Final = 0.8
Params = Sequence[tuple[str, str]] | Mapping[str, str] | str


@attrs.frozen(repr=False)
class HttpReply:
    """An answer: status, headers by lower-case name, and the body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:  # either may hold a token
        return f"HttpReply({self.status}, {len(self.body)} bytes)"

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return self.status // 100 == _SUCCESS_CLASS


@attrs.frozen(kw_only=True)
class HttpLimits:
    """How many connections, seconds without use, and bytes of one answer are allowed."""

    max_connections: int = attrs.field(default=8, validator=attrs.validators.gt(0))
    idle_s: float = attrs.field(default=30.0, validator=attrs.validators.gt(0.0))
    max_body_size: int = attrs.field(default=16 * 2**20, validator=attrs.validators.gt(0))


class HttpLink:
    """Requests to one host over connections that are kept alive. Made by `open_http`.

    Nothing is ever sent twice, no redirect is followed, no cookie is kept.
    """

    def __init__(
        self, target: Target, limits: HttpLimits, headers: Mapping[str, str], client: "_Clients"
    ) -> None:
        self._target = target
        self._limits = limits
        self._headers = dict(headers)
        self._clients = client

    def __repr__(self) -> str:
        return f"HttpLink({str(self._target)!r})"

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        deadline_s: float = 10.0,
    ) -> HttpReply:
        """Send one request and return the answer, whatever its status.

        `path` is put behind the base URL's and may carry a query; `params` as text is sent as it
        is (a signature often covers the very bytes), as pairs it is encoded. `deadline_s` covers
        all of it: waiting for a connection, connecting (at most 80 % of it for TCP, and for TLS),
        sending, and the answer to its last byte.

        Raises
        ------
        VenueUnreachableError
            Nothing was sent: no connection, or none free in time. May be asked again.
        OrderOutcomeUnknownError
            Sent, or perhaps sent, by a method other than GET, HEAD and OPTIONS, and no complete
            answer: never send it again, ask what became of it.
        VenueDisconnectedError
            The same of a GET, HEAD or OPTIONS, which changes nothing.
        VenueProtocolError
            A GET's answer is no HTTP, is longer than `max_body_size`, or decompresses to more.
        ConfigError
            A header, the path or the query cannot be sent as HTTP: nothing was.
        """
        target = self._target
        what = f"{method} {target.scheme}://{target.authority}{self._path(path)}"
        progress = _Progress()
        try:
            request = httpx.Request(
                method,
                self._url(path, params),
                headers={**_HEADERS, **self._headers, **(headers or {})},
                content=content,
                extensions={
                    "trace": progress.trace,
                    "timeout": {"connect": deadline_s * _CONNECT_SHARE},
                },
            )
            request.stream = _Content(content or b"")
            with trio.fail_after(deadline_s):
                return await self._answer(request, progress)
        except trio.TooSlowError:
            raise progress.failure(what, method, f"no answer within {deadline_s:g} s") from None
        except _OUR_MISTAKE:  # its text holds the header, and a header may be a key
            raise ConfigError(
                f"{what}: not sent: a header, the path or the query has a character that HTTP "
                "does not allow there; look at the key for a line break or a letter beyond ASCII"
            ) from None
        except _ERRORS as exc:
            raise progress.failure(what, method, reason_of(exc), exc) from exc

    def _path(self, path: str) -> str:
        """Return what follows the host, without a query: that may carry a signature."""
        base = self._target.resource.partition("?")[0].rstrip("/")
        return f"{base}/{path.partition('?')[0].lstrip('/')}"

    def _url(self, path: str, params: Params | None) -> httpx.URL:
        query = path.partition("?")[2]
        if params is not None:
            added = params if isinstance(params, str) else urllib.parse.urlencode(params)
            query = "&".join(filter(None, (query, added)))
        target = self._path(path) + (f"?{query}" if query else "")
        return self._root.copy_with(raw_path=target.encode("ascii"))

    @functools.cached_property  # taking a URL apart costs as much as many a handler
    def _root(self) -> httpx.URL:
        return httpx.URL(f"{self._target.scheme}://{self._target.authority}")

    async def _answer(self, request: httpx.Request, progress: "_Progress") -> HttpReply:
        async with self._clients.borrowed() as client:
            response = await client.send(request, stream=True)
            progress.answering = True
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status_code, headers, body)

    async def _body(self, response: httpx.Response) -> bytes:
        limit, body = self._limits.max_body_size, bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit:
                    # Closed, and read on into the error: httpx's generators end in good order.
                    await response.aclose()
        except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError):
            if len(body) <= limit:
                raise
        if len(body) > limit:
            raise VenueProtocolError(f"the answer is longer than the {limit} bytes allowed")
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding in _COMPRESSED and body:
            return inflate(bytes(body), limit)
        if encoding not in _COMPRESSED | {"identity", ""}:
            raise VenueProtocolError(f"the answer is encoded as {encoding!r}, which was not asked")
        return bytes(body)


@asynccontextmanager
async def open_http(
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    limits: HttpLimits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    dial: Dial | None = None,
) -> AsyncIterator[HttpLink]:
    """Give an `HttpLink` to `base_url` (`http:` or `https:`) for the length of the block.

    Connects at the first request. TLS is verified, and proxies are taken from the environment, as
    `botkit.transport.connect` does it; `dial` replaces the network. `headers` go with every
    request. Raises `ConfigError` for a URL that is none, or a proxy that cannot be used.
    """
    target = Target.of(base_url, ("http", "https"))
    limits = limits or HttpLimits()
    if ssl_context is None and (target.secure or dial is None):  # with a dial there is no proxy
        ssl_context = ssl.create_default_context()
    clients = _Clients(limits, ssl_context, dial)
    try:
        yield HttpLink(target, limits, headers or {}, clients)
    finally:
        with trio.CancelScope(shield=True):  # closing an HTTPS connection waits for nobody
            await clients.aclose()


class _Content(httpx.AsyncByteStream):
    """A request's body, in one piece and once.

    httpx's own is an async generator, which a request that is canceled halfway leaves open.
    """

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, None
        if content is None:
            raise StopAsyncIteration
        return content


class _Progress:
    """How far a request came, so that a failure can say whether the venue may have acted."""

    def __init__(self) -> None:
        self.sending = False
        self.answering = False

    async def trace(self, event: str, _details: Mapping[str, Any]) -> None:
        """Take note of what httpcore does. An event that we do not know counts as sending."""
        self.sending = self.sending or not event.startswith(_CONNECTING)

    def failure(
        self, what: str, method: str, reason: str, exc: BaseException | None = None
    ) -> VenueError:
        """Return the error for a request that ended without a whole answer."""
        if not self.sending or isinstance(exc, _NOT_SENT):
            return VenueUnreachableError(f"{what}: not sent: {reason}")
        if method.upper() not in _SAFE_METHODS:
            return OrderOutcomeUnknownError(
                f"{what}: sent, and its outcome is unknown: {reason}; ask for its status"
            )
        # An answer that breaks off is a lost connection; one that begins as no HTTP is not.
        garbled = not self.answering and _is_caused_by(exc, h11.RemoteProtocolError)
        if garbled or isinstance(exc, VenueProtocolError):
            return VenueProtocolError(f"{what}: {reason}")
        return VenueDisconnectedError(f"{what}: {reason}")


class _Clients:
    """One httpx client, replaced when it has not been used for `idle_s`, its connections too.

    A venue closes connections that idle; a request sent into one at that moment is ambiguous.
    httpx has a limit of its own, but by a clock that does not follow trio's.
    """

    def __init__(
        self, limits: HttpLimits, ssl_context: ssl.SSLContext | None, dial: Dial | None
    ) -> None:
        self._limits = limits
        self._ssl_context = ssl_context
        self._dial = dial
        self._client = self._made()
        self._in_use = 0
        self._used_at = trio.current_time()

    def _made(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=self._limits.max_connections,
            max_keepalive_connections=self._limits.max_connections,
            keepalive_expiry=None,
        )
        if self._dial is not None:
            transport = DialedTransport(self._dial, self._ssl_context, limits)
            return httpx.AsyncClient(transport=transport, trust_env=False)
        assert self._ssl_context is not None, "only a dialed link may do without TLS"
        try:
            return httpx.AsyncClient(
                verify=self._ssl_context, limits=limits, timeout=httpx.Timeout(None)
            )
        except (ImportError, ValueError, httpx.InvalidURL) as exc:
            raise ConfigError(
                "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used: only "
                "http:// and https:// proxies can"
            ) from exc

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the client, a new one if the old one has idled for too long."""
        if not self._in_use and trio.current_time() - self._used_at > self._limits.idle_s:
            stale, self._client = self._client, self._made()
            await stale.aclose()
        self._in_use += 1
        try:
            yield self._client
        finally:
            self._in_use -= 1
            self._used_at = trio.current_time()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def _is_caused_by(exc: BaseException | None, kind: type[BaseException]) -> bool:
    while exc is not None and not isinstance(exc, kind):
        exc = exc.__cause__ or exc.__context__
    return exc is not None
