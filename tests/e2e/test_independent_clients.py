"""Clients that others wrote drive the simulated exchanges: what we misread alike, they do not.

They are installed once for a machine, into its cache, in the versions pinned here and in
`tests/e2e/node/package-lock.json`; without npm, or where nothing can be installed, these tests are
skipped and say why. No extra of ours names them: ccxt is large and pins libraries that we use.
"""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_serve_process import last_word, serving

CCXT = "4.5.90"
NODE = Path(__file__).parent / "node"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "botkit-clients"
INSTALL_S = 120.0
TOO_LONG_S = 60.0
UNIT = 10**8
KEY, PASSWORD, SECRET = "test-key-alice", "test-password-alice", "test-secret-alice"


def installed(name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; it is there as a whole or not at all."""
    folder = CACHE / name
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            fill(new)
            with contextlib.suppress(OSError):  # another run was faster
                new.rename(folder)
    return folder


def install(what: str, *words: str, cwd: Path) -> None:
    """Run an installer; skip the test, naming `what` was to be installed, if it fails."""
    try:
        ended = subprocess.run(  # noqa: S603  pinned packages
            words, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} was not installed within {INSTALL_S:g} s")
    if ended.returncode:
        said = ended.stderr.strip() or "nothing was said"
        pytest.skip(f"{what} cannot be installed here: {said}")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


@pytest.fixture(scope="module")
def node_folder() -> Path:
    """Where the packages for node are."""
    npm, pins = tool("npm"), ("package.json", "package-lock.json")
    tool("node")

    def fill(folder: Path) -> None:
        for name in pins:
            shutil.copy(NODE / name, folder)
        quick = ("--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000")
        install(
            "what npm has",
            npm,
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            *quick,
            cwd=folder,
        )
        shutil.rmtree(folder / "node_modules" / "blinktrade" / "examples", ignore_errors=True)

    digest = hashlib.sha256(b"".join((NODE / name).read_bytes() for name in pins)).hexdigest()
    return installed(f"node-{digest[:16]}", fill)


@pytest.fixture
def ccxt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import ccxt from the cache; what it requires of others is here through our extras."""

    def fill(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile")
        to = ("--retries", "1", "--timeout", "20", "--target", str(folder))
        install("ccxt", *pip, *to, f"ccxt=={CCXT}", cwd=folder)

    monkeypatch.syspath_prepend(installed(f"ccxt-{CCXT}", fill))
    yield importlib.import_module("ccxt")
    for name in [each for each in sys.modules if each.partition(".")[0] == "ccxt"]:
        del sys.modules[name]


def by_node(script: str, folder: Path, *words: str) -> dict[str, Any]:
    """Run one of our scripts for node; return what it saw, fractions exactly as they were told."""
    ended = subprocess.run(  # noqa: S603  our own script
        [tool("node"), str(NODE / script), str(folder), *words],
        capture_output=True,
        text=True,
        timeout=TOO_LONG_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1], parse_float=Decimal)
    return seen


# --- DigiFinex by ccxt --------------------------------------------------------------------------


def test_ccxt_trades_on_digifinex(ccxt: Any, tmp_path: Path) -> None:
    symbol = "BTC/USDT"
    with serving("digifinex", tmp_path) as (simulator, port):
        terms = {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False}
        venue = ccxt.digifinex(terms)
        venue.urls["api"] = {"rest": f"http://127.0.0.1:{port}"}
        try:
            ask = look_around(venue, symbol)
            rest_and_cancel(ccxt, venue, symbol)
            fills = take_both_ways(venue, symbol, ask)
            look_at_the_tape(venue, symbol)
            be_refused(ccxt, venue, symbol)
        finally:
            venue.session.close()
        told = last_word(simulator)
    assert told["alice"] == {"orders": 4, "fills": fills, "resting": []}
    assert told["bob"]["orders"] == 0


def look_around(venue: Any, symbol: str) -> float:
    """Look at the market and at what the account holds; return the best ask."""
    market = venue.load_markets()[symbol]
    assert (market["precision"], market["limits"]["cost"]["min"]) == (
        {"amount": 0.00001, "price": 0.01},
        2.0,
    )
    assert venue.fetch_status()["status"] == "ok"
    assert abs(venue.fetch_time() - venue.milliseconds()) < 5_000
    book = venue.fetch_order_book(symbol, 5)
    bids, asks = ([price for price, _ in book[side]] for side in ("bids", "asks"))
    assert (len(bids), len(asks)) == (5, 5)
    assert sorted(bids, reverse=True) + sorted(asks) == bids + asks
    assert bids[0] < asks[0]
    assert venue.fetch_balance()["total"] == {"BTC": 10.0, "ETH": 100.0, "USDT": 1_000_000.0}
    return float(asks[0])


def rest_and_cancel(ccxt: Any, venue: Any, symbol: str) -> None:
    order = venue.create_order(symbol, "limit", "buy", 0.01, 40_000.0)
    (resting,) = venue.fetch_open_orders(symbol)
    assert resting["id"] == order["id"]
    wanted = ("limit", "buy", 40_000.0, 0.01, 0.0, "open")
    names = ("type", "side", "price", "amount", "filled", "status")
    assert tuple(resting[name] for name in names) == wanted
    assert venue.fetch_balance()["USDT"] == {"free": 999_600.0, "used": 400.0, "total": 1e6}
    assert venue.cancel_order(order["id"], symbol)["status"] == "canceled"
    assert venue.fetch_open_orders(symbol) == []
    assert venue.fetch_order(order["id"], symbol)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        venue.cancel_order(order["id"], symbol)


def take_both_ways(venue: Any, symbol: str, ask: float) -> int:
    """Buy by money, sell by quantity; fills and balances follow from it. Return how many fills."""
    bought = venue.create_order(symbol, "market", "buy", 0.01, ask)
    sold = venue.create_order(symbol, "market", "sell", 0.005)
    for order, side in ((bought, "buy"), (sold, "sell")):
        done = venue.fetch_order(order["id"], symbol)
        assert (done["type"], done["side"]) == ("market", side)
        assert done["status"] in ("closed", "canceled")  # the market may have moved away
        assert done["filled"] > 0
    trades = venue.fetch_my_trades(symbol)
    assert {trade["order"] for trade in trades} == {bought["id"], sold["id"]}
    assert {(trade["type"], trade["takerOrMaker"]) for trade in trades} == {("market", "taker")}
    held = {"BTC": Decimal(10), "USDT": Decimal(1_000_000)}
    for trade in trades:
        sign = 1 if trade["side"] == "buy" else -1
        qty, price = (Decimal(str(trade[name])) for name in ("amount", "price"))
        held["BTC"] += qty * sign
        held["USDT"] -= qty * price * sign
        held[trade["fee"]["currency"]] -= Decimal(str(trade["fee"]["cost"]))
    totals = venue.fetch_balance()["total"]
    assert {name: Decimal(str(totals[name])) for name in held} == held
    assert len(venue.fetch_orders(symbol)) == 3
    return len(trades)


def look_at_the_tape(venue: Any, symbol: str) -> None:
    """Look at what has traded by now."""
    ticker = venue.fetch_ticker(symbol)
    assert 0 < ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert ticker["baseVolume"] > 0.005
    assert set(venue.fetch_tickers()) == {symbol, "ETH/USDT"}
    trades = venue.fetch_trades(symbol, limit=50)
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}
    assert all(trade["price"] > 0 and trade["amount"] > 0 for trade in trades)


def be_refused(ccxt: Any, venue: Any, symbol: str) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        venue.create_order(symbol, "limit", "buy", 1_000.0, 40_000.0)
    venue.secret = SECRET[::-1]
    with pytest.raises(ccxt.AuthenticationError):
        venue.fetch_balance()


# --- Moonbase by the Phoenix framework's client -------------------------------------------------


@pytest.mark.parametrize("package", ["phoenix-1.2", "phoenix"])
def test_phoenix_client_trades_on_moonbase(package: str, node_folder: Path, tmp_path: Path) -> None:
    with serving("moonbase", tmp_path) as (simulator, port):
        url = f"ws://127.0.0.1:{port}"
        seen = by_node("phoenix.mjs", node_folder, package, url, KEY, SECRET)
        told = last_word(simulator)
    check_channels(seen)
    check_moonbase_orders(seen)
    fills = len(seen["printsOfBuy"]) + len(seen["printsOfSale"])
    assert told["alice"] == {"orders": 4, "fills": fills, "resting": []}
    assert told["bob"]["orders"] == 0


def check_channels(seen: dict[str, Any]) -> None:
    assert "403" in seen["refusal"]
    assert seen["unknown"] == {"status": "error", "response": {"reason": "unmatched topic"}}
    assert seen["beat"] == {"status": "ok", "response": {}}
    assert seen["left"] == "ok"
    assert seen["strangers"] == 0
    assert 0 < seen["bestBid"] < seen["bestAsk"]
    (ticker,) = seen["tickerAtFirst"]
    assert ticker["symbol"] == seen["ticker"]["symbol"] == "ETH_D:BTC_D"
    assert seen["ticker"]["bid_price"] < seen["ticker"]["ask_price"]


def check_moonbase_orders(seen: dict[str, Any]) -> None:
    assert seen["openAtFirst"] == []
    assert [seen[name]["status"] for name in ("resting", "taking", "market", "canceled")] == (
        ["ok"] * 4
    )
    assert [seen[name]["status"] for name in ("refused", "again")] == ["error"] * 2
    resting, canceled = seen["resting"]["response"], seen["canceled"]["response"]
    assert resting["id"] == canceled["id"]
    assert (resting["is_active"], resting["filled_amount"]) == (True, 0)
    assert {order["id"] for order in seen["seenResting"]} == {resting["id"]}
    assert (canceled["is_active"], canceled["cancelled_at"] is None) == (False, False)
    taken, sold = seen["taken"], seen["sold"]
    assert seen["taking"]["response"]["filled_amount"] == 0  # fills are told by pushes
    assert (taken["filled_amount"], sold["filled_amount"]) == (Decimal("0.5"), Decimal("-0.25"))
    for order, prints in ((taken, seen["printsOfBuy"]), (sold, seen["printsOfSale"])):
        assert order["filled_total"] == -sum(each["price"] * each["amount"] for each in prints)
    before = {row["asset"]: row["available_amount"] for row in seen["balancesAtFirst"]}
    after = {name: row["available_amount"] for name, row in seen["balances"].items()}
    assert after["ETH_D"] - before["ETH_D"] == Decimal("0.25")
    assert after["BTC_D"] - before["BTC_D"] == sum(
        (order[name] for order in (taken, sold) for name in ("filled_total", "fee")), Decimal(0)
    )


# --- BlinkTrade by its own SDK ------------------------------------------------------------------


def test_blinktrades_own_sdk_trades_on_blinktrade(node_folder: Path, tmp_path: Path) -> None:
    with serving("blinktrade", tmp_path) as (simulator, port):
        address = f"127.0.0.1:{port}"
        seen = by_node("blinktrade.mjs", node_folder, address, KEY, PASSWORD, SECRET)
        told = last_word(simulator)
    check_login_and_market(seen)
    check_orders_by_socket(seen)
    check_the_same_by_rest(seen)
    assert told["alice"] == {"orders": 3, "fills": len(seen["fills"]) - 1, "resting": []}
    assert told["bob"]["orders"] == 0


def check_login_and_market(seen: dict[str, Any]) -> None:
    assert seen["beat"]["MsgType"] == "0"
    assert seen["refusal"]["UserStatusText"] == "MSG_LOGIN_ERROR_INVALID_USERNAME_OR_PASSWORD"
    assert (seen["login"]["UserStatus"], seen["login"]["BrokerID"]) == (1, 5)
    ticker = seen["lastTicker"]
    assert (ticker["Market"], ticker["Symbol"]) == ("BLINK", "BTCUSD")
    assert 0 < ticker["BestBid"] < ticker["BestAsk"]
    assert min(seen["bids"], seen["asks"]) >= 5
    assert seen["changes"] >= 20
    assert seen["broken"] == []


def check_orders_by_socket(seen: dict[str, Any]) -> None:
    resting, canceled = seen["resting"], seen["canceled"]
    assert [order["OrderID"] for order in seen["open"]] == [resting["OrderID"]]
    assert (canceled["OrderID"], canceled["OrdStatus"]) == (resting["OrderID"], "4")
    usd = seen["before"]["USD"]
    assert usd - seen["locked"]["USD"] == resting["OrderQty"] * resting["Price"] // UNIT
    fills = [report for report in seen["fills"] if report["ExecType"] in ("1", "2")]
    assert (fills[-1]["OrdStatus"], fills[-1]["CumQty"]) == ("2", UNIT // 100)
    assert sum(fill["LastShares"] for fill in fills) == UNIT // 100
    paid = sum(fill["LastShares"] * fill["LastPx"] // UNIT for fill in fills)
    assert usd - seen["after"]["USD"] == paid
    gained = seen["after"]["BTC"] - seen["before"]["BTC"]
    assert abs(gained - UNIT // 100 * 999 // 1_000) < len(fills)  # 10 bps of each, rounded
    assert {name: seen["pushed"][name] for name in ("BTC", "USD")} == seen["after"]
    assert sum(trade["size"] for trade in seen["prints"]) == Decimal("0.01")
    ended = {order["OrderID"]: order["OrdStatus"] for order in seen["done"]}
    assert ended == {resting["OrderID"]: "4", seen["taking"]["OrderID"]: "2"}
    assert 0 < len(seen["history"]["BTCUSD"]) <= 5


def check_the_same_by_rest(seen: dict[str, Any]) -> None:
    assert seen["restTicker"]["pair"] == "BTCUSD"
    assert seen["restTicker"]["buy"] < seen["restTicker"]["sell"]
    assert min(seen["restBook"]) >= 5
    assert 0 < seen["restTrades"] <= 10
    assert seen["restBalance"] == seen["after"]
    order, balance = seen["restOrder"]
    assert (order["OrdStatus"], balance["MsgType"]) == ("0", "U3")
    canceled, _ = seen["restCancel"]
    assert (canceled["OrderID"], canceled["OrdStatus"]) == (order["OrderID"], "4")
    assert seen["restOpen"] == []
    assert seen["restRefusal"]["Status"] == 500
