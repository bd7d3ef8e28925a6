"""What reading a venue's book costs, from a frame's bytes to the engine's book.

    python benchmarks/venues.py [--json] [--frames 3000] [--venue NAME ...]

Per venue, with 20 levels a side in each frame and with 1: frames decoded and delivered to an engine
that keeps the book, per second of CPU, beside `json.loads` alone on the same frames (inflated first
where they come compressed). The ratio is what to compare between machines; its limit is 0.3 with
20 levels. What the transport costs per frame before any codec is told apart from it, over loopback
TCP. CPU time of one process, the medians of five rounds that take turns.
"""

import gc
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import trio
from transport import blast, receiving_us, serving
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from botkit.model import Instrument
from botkit.ports import FeeSchedule
from botkit.strategy import Strategy
from botkit.testing import build_instrument, time_ns
from botkit.testing.engine_rig import EngineRig

# The folder of a script comes first where modules are looked for, and this file is called as the
# package of the adapters is.
sys.path[:] = [each for each in sys.path if Path(each).resolve() != Path(__file__).resolve().parent]

ROUNDS = 5
LEVELS = (20, 1)
LIMIT = 0.3
UNITS = 10**8
Decode = Callable[[bytes], Iterable[Any]]
Sides = tuple[list[tuple[int, int]], list[tuple[int, int]]]  # price and size in hundredths


def sides(levels: int, number: int) -> Sides:
    """Return bids and asks, best first; the sizes change with each `number`."""
    bids = [(5_000_000 - 100 * n, 10 + (number + n) % 97) for n in range(levels)]
    asks = [(5_000_100 + 100 * n, 10 + (number * 3 + n) % 89) for n in range(levels)]
    return bids, asks


def part(venue: str, module: str) -> Any:
    """Return a module of an adapter's."""
    return import_module(f"venues.{venue}.{module}")


def text(hundredths: int) -> str:
    return f"{Decimal(hundredths).scaleb(-2)}"


def now_ns() -> int:
    return time_ns(1)


def finery(instrument: Instrument, levels: int, count: int) -> tuple[Decode, list[bytes]]:
    chains = part("finery", "chains").Chains
    codec_of = part("finery", "codec").Codec
    numbers = part("finery", "ids").Numbers

    def rows(number: int, *head: str) -> list[list[list[object]]]:
        return [
            [[*head, price * UNITS // 100, size * UNITS // 100] for price, size in side]
            for side in sides(levels, number)
        ]

    codec = codec_of("bench", {instrument.name: instrument}, numbers(), chains(), now_ns)
    whole = json.dumps(["F", instrument.name, "S", rows(0)])
    frames = [json.dumps(["F", instrument.name, "M", rows(n, "M")]) for n in range(count)]
    return codec.decode, [each.encode() for each in (whole, *frames)]


def digifinex(instrument: Instrument, levels: int, count: int) -> tuple[Decode, list[bytes]]:
    codec_of = part("digifinex", "codec").Codec

    def frame(number: int, *, whole: bool) -> bytes:
        bids, asks = sides(levels, number)
        depth = {
            "asks": [[text(price), text(size)] for price, size in reversed(asks)],
            "bids": [[text(price), text(size)] for price, size in bids],
        }
        params = [whole, depth, instrument.name]
        return zlib.compress(
            json.dumps({"method": "depth.update", "params": params, "id": None}).encode()
        )

    codec = codec_of("bench", {instrument.name: instrument}, now_ns, lambda _: None)
    frames = [frame(n, whole=not n) for n in range(count + 1)]
    return codec.decode, frames


def moonbase(instrument: Instrument, levels: int, count: int) -> tuple[Decode, list[bytes]]:
    codec_of = part("moonbase", "codec").Codec
    orders = part("moonbase", "orders").Orders

    topic = f"/orderbooks/{instrument.name}"

    def rows(number: int) -> list[list[float]]:
        bids, asks = sides(levels, number)
        return [[price / 100, size / 100] for price, size in bids] + [
            [price / 100, -size / 100] for price, size in asks
        ]

    def frame(event: str, payload: object, ref: str | None = None) -> bytes:
        head = {"ref": ref, "join_ref": None, "topic": topic, "event": event}
        return json.dumps({**head, "payload": payload}).encode()

    codec = codec_of("bench", {instrument.name: instrument}, orders(0), now_ns)
    ref = json.loads(codec.join(topic, {}))["ref"]
    whole = frame("phx_reply", {"status": "ok", "response": rows(0)}, ref)
    return codec.decode, [whole, *(frame("upsert", {"data": rows(n)}) for n in range(count))]


def blinktrade(instrument: Instrument, levels: int, count: int) -> tuple[Decode, list[bytes]]:
    codec_of = part("blinktrade", "codec").Codec

    codec = codec_of("bench", {instrument.name: instrument}, now_ns, broker_id=5)
    book_id, _ = codec.subscribe(instrument.name)

    def rows(number: int, **more: object) -> list[dict[str, object]]:
        return [
            {
                "MDEntryType": kind,
                "MDEntryPositionNo": place,
                "OrderID": 1_000 * int(kind) + place,
                "MDEntryPx": price * UNITS // 100,
                "MDEntrySize": size * UNITS // 100,
                "MDEntryDate": "2026-01-01",
                "MDEntryTime": "15:02:26",
                "Broker": "exchange",
                **more,
            }
            for kind, side in zip("01", sides(levels, number), strict=True)
            for place, (price, size) in enumerate(side, 1)
        ]

    head = {"MDReqID": book_id}
    whole = {"MsgType": "W", **head, "Symbol": instrument.name, "MDFullGrp": rows(0)}
    changes = [
        {"MsgType": "X", **head, "MDIncGrp": rows(n, Symbol=instrument.name, MDUpdateAction="1")}
        for n in range(count)
    ]
    return codec.decode, [json.dumps(each).encode() for each in (whole, *changes)]


def peatio(instrument: Instrument, levels: int, count: int) -> tuple[Decode, list[bytes]]:
    own_orders = part("peatio", "own").OwnOrders
    ranger_codec = part("peatio", "ranger_codec").RangerCodec
    reports_of = part("peatio", "reports").Reports

    name = instrument.name

    def frame(kind: str, number: int) -> bytes:
        bids, asks = sides(levels, number)
        rows = {
            "asks": [[text(price), text(size)] for price, size in asks],
            "bids": [[text(price), text(size)] for price, size in bids],
            "sequence": number + 1,
        }
        return json.dumps({f"{name}.{kind}": rows}).encode()

    reports = reports_of(
        "bench", {name: instrument}, own_orders(), now_ns, fees=FeeSchedule(), fee_in_received=False
    )
    frames = [frame("ob-snap", 0), *(frame("ob-inc", n) for n in range(1, count + 1))]
    return ranger_codec(reports).decode, frames


# A venue stands here with the name of its instrument and how to make its codec and its frames.
VENUES: Mapping[str, tuple[str, Callable[..., tuple[Decode, list[bytes]]]]] = {
    "finery": ("BTC-EUR", finery),
    "blinktrade": ("BTCUSD", blinktrade),
    "peatio": ("btcusd", peatio),
    "digifinex": ("BTC_USDT", digifinex),
    "moonbase": ("BTC_D:EUR_D", moonbase),
}
COMPRESSED = ("digifinex",)
TERMS = {"base": "BTC", "quote": "EUR"}


def inflated(frame: bytes) -> Any:
    return json.loads(zlib.decompress(frame))


def cpu_us(act: Callable[[bytes], object], frames: Sequence[bytes]) -> float:
    """Return the CPU time of `act` on one frame."""
    gc.collect()
    started_ns = time.process_time_ns()
    for frame in frames:
        act(frame)
    return (time.process_time_ns() - started_ns) / len(frames) / 1_000


def reader(decode: Decode, rig: EngineRig) -> Callable[[bytes], None]:
    """Return what an adapter does with a frame: notices are its own, the rest is the engine's."""
    codec: Any = decode
    notice = sys.modules[type(codec.__self__).__module__].Notice
    handle = rig.engine.handle

    def deliver(frame: bytes) -> None:
        for event in decode(frame):
            if not isinstance(event, notice):
                handle(event)

    return deliver


def measure(venue: str, levels: int, count: int) -> dict[str, float]:
    """Return one venue's figures, for frames of `levels` a side."""
    name, build = VENUES[venue]
    instrument = build_instrument(f"bench:{name}", **TERMS)
    loads = inflated if venue in COMPRESSED else json.loads
    ours: list[float] = []
    plain: list[float] = []
    size = 0
    for _ in range(ROUNDS):
        decode, (whole, *frames) = build(instrument, levels, count)
        rig = EngineRig(Strategy(), symbols=(instrument.symbol,), instrument_terms=TERMS)
        rig.start()
        deliver = reader(decode, rig)
        deliver(whole)
        ours.append(cpu_us(deliver, frames))
        plain.append(cpu_us(loads, frames))
        book = rig.engine.channels[instrument.symbol].market.book
        assert len(book.bids()) == len(book.asks()) == levels, f"{venue}: the book is not kept"
        size = len(frames[0])
    ours_us, plain_us = statistics.median(ours), statistics.median(plain)
    return {
        "frames_per_s": round(1e6 / ours_us),
        "us": round(ours_us, 1),
        "json_loads_us": round(plain_us, 1),
        "ratio": round(plain_us / ours_us, 2),
        "bytes": size,
        "transport_us": round(transport_us(size, count), 1),
    }


def transport_us(size: int, count: int) -> float:
    """Return what receiving a frame of `size` bytes costs over loopback TCP."""
    encoder = Connection(ConnectionType.SERVER)
    frames = b"".join(encoder.send(TextMessage(data="x" * size)) for _ in range(count))
    receive = partial(receiving_us, count=count)
    return trio.run(serving, partial(blast, frames), receive)


@click.command()
@click.option("--frames", "count", type=click.IntRange(min=1), default=3_000, show_default=True)
@click.option("--venue", "chosen", type=click.Choice(list(VENUES)), multiple=True)
@click.option("--json", "as_json", is_flag=True)
def main(count: int, chosen: tuple[str, ...], *, as_json: bool) -> None:
    """Measure what reading each venue's book costs; see the top of this file."""
    found = {
        venue: {str(levels): measure(venue, levels, count) for levels in LEVELS}
        for venue in chosen or VENUES
    }
    if as_json:
        print(json.dumps(found))
        return
    print(f"{'venue':<12} levels  frames/s     us  loads us  ratio  limit  bytes  transport us")
    for venue, by_levels in found.items():
        for levels, each in by_levels.items():
            limit = f"{LIMIT}" if levels == "20" else ""
            missed = "  missed" if limit and each["ratio"] < LIMIT else ""
            print(
                f"{venue:<12} {levels:>6}  {each['frames_per_s']:>8,} {each['us']:>6} "
                f"{each['json_loads_us']:>9}  {each['ratio']:>5}  {limit:>5}  {each['bytes']:>5}  "
                f"{each['transport_us']:>12}{missed}"
            )


if __name__ == "__main__":
    main()
