"""HTTP as downloads need it: bounded waiting, redirects that keep the token to themselves, plain failures.

The standard library's client is used rather than the hub library's, whose own client differs between the
versions that may be installed (requests, httpx, httpx2) and offers neither stopping nor checksums.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import IO, TypeVar
from urllib.parse import urlsplit

from chatterm import __version__

T = TypeVar("T")

_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Timeouts:
    """How patient a download is. All in seconds but the number of tries."""

    connect: float = 4.0  # until a server has answered for the first time
    stall: float = 15.0  # without a single byte
    tries: int = 5  # in a row that bring nothing new
    pause: float = 1.0  # before the second try, doubled before each further one


class UnreachableError(Exception):
    """Nobody answered, or the answer broke off. The text says what happened."""


@dataclass
class RefusedError(Exception):
    """The server answered and said no."""

    status: int
    code: str = ""  # the hub's X-Error-Code
    retry_after: float = 0.0  # seconds that it asks to wait

    def __str__(self) -> str:
        return f"HTTP status {self.status}"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted address to one that is not.

    A token is sent as an unredirected header, so it never goes to the address redirected to.
    """

    max_redirections = 10

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in _SCHEMES or (urlsplit(req.full_url).scheme == "https" and scheme != "https"):
            raise UnreachableError("it redirects to an address that is not encrypted")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and urlsplit(newurl).netloc == urlsplit(req.full_url).netloc:
            request.unredirected_hdrs = dict(req.unredirected_hdrs)
        return request


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_tls()), _Redirects())


def _tls() -> ssl.SSLContext:
    """The system's certificates, those the user points to, and certifi's where Python has none of its own."""
    context = ssl.create_default_context()
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle := os.environ.get(variable):
            with contextlib.suppress(OSError, ssl.SSLError):
                context.load_verify_locations(bundle)
    with contextlib.suppress(ImportError, OSError):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


@dataclass(frozen=True)
class Client:
    """Opens addresses, for one download. `check` raises when the person wants to stop."""

    token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    check: Callable[[], None] = lambda: None

    def open(
        self, url: str, *, headers: dict[str, str] | None = None, seconds: float | None = None
    ) -> http.client.HTTPResponse:
        """Send a GET and wait for the answer's headers, `seconds` (default: a stall's) at most.

        Raises:
            UnreachableError: nobody answered in time, or not in HTTP.
            RefusedError: the answer was an error status.
        """
        if urlsplit(url).scheme not in _SCHEMES:
            raise UnreachableError("its address does not begin with http:// or https://")
        request = urllib.request.Request(  # noqa: S310 - checked above
            url, headers={"User-Agent": f"chatterm/{__version__}", **(headers or {})}
        )
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        timeout = self.timeouts.stall if seconds is None else seconds
        # Name lookup ignores socket timeouts, and each address of a host waits on its own: hence the thread.
        return _patiently(lambda: _open(request, timeout), timeout, self.check)

    def read_all(self, url: str, limit: int, *, seconds: float | None = None) -> bytes:
        """The whole answer, `limit` bytes at most. Raises as `open` does."""
        until = time.monotonic() + (self.timeouts.stall if seconds is None else seconds)
        with self.open(url, seconds=seconds) as response:

            def body() -> bytes:
                return response.read(limit + 1)

            content = _patiently(functools.partial(_plainly, body), until - time.monotonic(), self.check)
        if len(content) > limit:
            raise UnreachableError("its answer is far too long")
        return content

    def read_some(self, response: http.client.HTTPResponse, size: int) -> bytes:
        """Some bytes of the body, empty at its end. Raises `UnreachableError` when none come."""
        return _plainly(lambda: response.read1(size))


def _open(request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    try:
        response = _plainly(lambda: _opener().open(request, timeout=timeout))
    except urllib.error.HTTPError as error:
        with error:
            if error.code in range(300, 400):
                raise UnreachableError("it redirects in circles") from None
            wait = _seconds(error.headers.get("Retry-After", ""))
            raise RefusedError(error.code, error.headers.get("X-Error-Code", ""), wait) from None
    assert isinstance(response, http.client.HTTPResponse), "only http and https addresses are opened"
    return response


def _seconds(retry_after: str) -> float:
    """How long a Retry-After header asks to wait: a count of seconds or a date; 0 where it is neither."""
    if re.fullmatch("[0-9]{1,9}", retry_after):
        return float(retry_after)
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    return 0.0


def _plainly(call: Callable[[], T]) -> T:
    """Whatever the network does wrong, as `UnreachableError` with a reason that a person understands."""
    try:
        return call()
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UnreachableError(_in_words(reason)) from None


def _in_words(reason: object) -> str:
    if isinstance(reason, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(reason, TimeoutError):
        return "it does not answer"
    if isinstance(reason, ssl.SSLError):
        return "its certificate cannot be verified" if "CERTIFICATE" in str(reason) else "encryption failed"
    if isinstance(reason, ConnectionRefusedError):
        return "it refuses connections"
    if isinstance(reason, (ConnectionError, http.client.IncompleteRead, http.client.RemoteDisconnected)):
        return "the connection broke off"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return "its answer makes no sense"


def _patiently(call: Callable[[], T], seconds: float, check: Callable[[], None]) -> T:
    """What `call` gives, waiting `seconds` at most. A call that takes longer is left to end by itself."""
    results: list[T] = []
    errors: list[BaseException] = []
    finished = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)
        finally:
            finished.set()

    threading.Thread(target=run, name="chatterm-download", daemon=True).start()
    until = time.monotonic() + seconds
    while not finished.wait(min(0.1, max(until - time.monotonic(), 0.001))):
        check()
        if time.monotonic() >= until:
            raise UnreachableError("it does not answer")
    if errors:
        raise errors[0]
    return results[0]
