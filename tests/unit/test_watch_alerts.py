"""What happens to a bot becomes alerts: the right ones, not too many, and nobody waits."""

from typing import Any

import trio

from botkit.config import AlertKind, AlertsConfig, Secret
from botkit.model import CleanUpExpired, Halted, OrdStatus, StrategyEnded, VenueStatus
from botkit.strategy import Strategy
from botkit.testing.builders import build_venue_status, time_ns
from botkit.testing.engine_rig import Actor, EngineRig
from botkit.watch.alerts import Alerts
from botkit.watch.limit import RateLimit
from botkit.watch.tap import Tap
from tests.unit.watch_bench import Lines, Taker, build_alert

HALT, START, STOP = AlertKind.HALT, AlertKind.START, AlertKind.STOP


def build_alerts(*takers: Taker, log: Lines | None = None, **terms: Any) -> Alerts:
    lines: Lines = [] if log is None else log
    return Alerts(
        AlertsConfig(urls=(Secret("json://host"),), **terms),
        takers,
        sender="rig",
        redact=lambda text: text.replace("hunter22", "***"),
        log=lambda *line: lines.append(line),
    )


def looked_at(alerts: Alerts, *strategies: Strategy, start: bool = True) -> EngineRig:
    rig = EngineRig(*strategies)
    rig.engine.journal = Tap(rig.engine.journal, [alerts.listeners])
    if start:
        rig.start()
    return rig


def test_of_a_kind_one_goes_out_and_the_rest_is_told_together_once_the_time_is_over() -> None:
    limit = RateLimit(60.0)
    first, second, third = (build_alert(name) for name in ("first", "second", "third"))

    assert limit.offer(first, 0.0) == [first]
    assert limit.offer(second, 1.0) == []
    assert limit.offer(third, 2.0) == []
    assert limit.due(59.0) == []
    (told,) = limit.due(60.0)
    assert told.headline == "third"
    assert told.lines == ("and 1 more like it before",)
    assert limit.due(61.0) == []


def test_what_goes_out_late_begins_the_time_anew() -> None:
    limit = RateLimit(60.0)
    for at in (0.0, 1.0):
        limit.offer(build_alert("x"), at)
    assert len(limit.due(60.0)) == 1

    assert limit.offer(build_alert("y"), 119.0) == []
    assert [each.headline for each in limit.due(120.0)] == ["y"]
    assert limit.offer(build_alert("z"), 181.0) == [build_alert("z")]


def test_one_that_comes_when_the_time_is_over_takes_those_before_along() -> None:
    limit = RateLimit(60.0)
    for at in (0.0, 1.0):
        limit.offer(build_alert("x"), at)

    (told,) = limit.offer(build_alert("y"), 61.0)

    assert (told.headline, told.lines) == ("y", ("and 1 more like it before",))


def test_kinds_do_not_hold_one_another_back() -> None:
    limit = RateLimit(60.0)

    assert len(limit.offer(build_alert("x", HALT), 0.0)) == 1
    assert len(limit.offer(build_alert("x", START), 0.0)) == 1


def test_at_the_end_nothing_is_held_back() -> None:
    limit = RateLimit(60.0)
    for headline in ("x", "y"):
        limit.offer(build_alert(headline), 0.0)

    assert [each.headline for each in limit.due()] == ["y"]


def test_a_venue_that_goes_down_and_comes_back_is_told_and_its_first_up_is_not() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts)
    for up, after_s in ((False, 1), (False, 2), (True, 3)):
        status = build_venue_status(after_s, up=up, reason="cable cut")
        rig.engine.handle(status)
        alerts.look(rig.engine, float(after_s))
    alerts.last_words(None)

    assert taker.titles == ["rig: paper is not ready", "rig: paper is ready again"]
    body = taker.taken[0][1]
    assert "cable cut" in body
    assert "missing: market data, reports of our orders, order entry" in body
    assert body.endswith(" UTC")


def test_a_venue_that_was_never_up_is_not_told() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts, start=False)
    rig.engine.handle(build_venue_status(0, up=False))
    rig.engine.handle(build_venue_status(1, up=True))
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert taker.titles == []


def test_what_happened_after_the_last_look_is_told_with_the_last_words() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts)
    rig.engine.handle(build_venue_status(1, up=False, reason="cable cut"))
    alerts.last_words(build_alert("ended", STOP))

    assert taker.titles == ["rig: paper is not ready", "rig: ended"]


def test_a_part_of_a_venue_that_is_missing_is_named() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts)
    status = VenueStatus(
        venue="paper",
        market_data=True,
        private=True,
        order_entry=False,
        receive_time_ns=time_ns(1),
    )
    rig.engine.handle(status)
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert "no reason given\nmissing: order entry\n" in taker.taken[0][1]


def test_a_strategy_that_fails_is_told_without_secrets_and_one_that_ends_is_not() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts, Actor(), Actor(), Actor())
    for name, error in (("a", ""), ("b", "ValueError: hunter22")):
        rig.engine.handle(StrategyEnded(strategy=name, error=error, receive_time_ns=time_ns(1)))
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert taker.titles == ["rig: strategy b failed"]
    assert taker.taken[0][1].startswith("ValueError: ***\nits orders are canceled\n")


def test_a_halt_is_told_with_limit_and_measured() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts, Actor())
    halted = Halted(
        rule="max_daily_loss", reason="too much", limit="500", receive_time_ns=time_ns(1)
    )
    rig.engine.guard.trip(halted)
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert taker.tried == ["rig: HALTED by max_daily_loss (failure)"]
    assert taker.taken[0][1].startswith("too much\nlimit 500\n2")


def test_orders_in_doubt_are_told_once_and_again_when_there_are_more() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    actor = Actor()
    rig = looked_at(alerts, actor)
    first = actor.buy(actor.instrument, "1", price="100")
    actor.buy(actor.instrument, "2", price="100")
    ids = (first.client_order_id,)
    rig.engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=time_ns(1)))
    alerts.look(rig.engine, 0.0)
    alerts.look(rig.engine, 100.0)
    rig.engine.handle(build_venue_status(3, up=False))
    alerts.look(rig.engine, 300.0)
    alerts.last_words(None)

    told = [each for each in taker.taken if "doubt" in each[0]]
    assert [title for title, _ in told] == ["rig: 1 order in doubt", "rig: 2 orders in doubt"]
    assert "buy 1 paper:BTC-EUR at 100, 0 filled: no confirmation within the clean-up" in told[0][1]
    assert all(order.ord_status is OrdStatus.UNKNOWN for order in actor.orders())


def test_of_many_orders_in_doubt_some_are_named() -> None:
    taker = Taker()
    alerts = build_alerts(taker, on=(AlertKind.IN_DOUBT,))
    actor = Actor()
    rig = looked_at(alerts, actor)
    for _ in range(12):
        actor.buy(actor.instrument, "1")
    rig.engine.handle(build_venue_status(1, up=False))
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert taker.titles == ["rig: 12 orders in doubt"]
    assert "... and 2 more\n" in taker.taken[0][1]
    assert taker.taken[0][1].count("at market") == 10


def test_only_the_kinds_asked_for_are_told() -> None:
    taker = Taker()
    alerts = build_alerts(taker, on=(HALT,))
    actor = Actor()
    rig = looked_at(alerts, actor)
    actor.buy(actor.instrument, "1", price="100")
    rig.engine.handle(build_venue_status(1, up=False))
    alerts.tell(build_alert("started", START), 0.0)
    alerts.look(rig.engine, 0.0)
    alerts.last_words(build_alert("ended", STOP))

    assert taker.titles == []


def test_a_tap_keeps_the_latest_thousand_entries() -> None:
    taker = Taker()
    alerts = build_alerts(taker)
    rig = looked_at(alerts)
    for after_s in range(1, 1_002):
        rig.engine.handle(build_venue_status(after_s, up=after_s % 2 == 0))
    alerts.look(rig.engine, 0.0)
    alerts.last_words(None)

    assert "and 498 more like it before" in taker.taken[-2][1]


async def test_while_serving_alerts_go_out_soon_and_the_last_one_says_how_many_wait() -> None:
    taker, stuck = Taker(), Taker("stuck", refusing="HTTP 500")
    log: Lines = []
    alerts = build_alerts(taker, stuck, log=log)
    rig = looked_at(alerts, Actor())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alerts.serve, rig.engine)
        rig.engine.guard.trip(Halted(rule="x", reason="y", receive_time_ns=time_ns(1)))
        for _ in range(500):
            await trio.sleep(0 if taker.taken and log else 0.01)
        nursery.cancel_scope.cancel()

    assert taker.titles == ["rig: HALTED by x"]
    assert alerts.waiting == 1
    assert log == [("error", "stuck does not work", {"error": "HTTP 500"})]


def test_last_words_reach_all_who_listen_and_wait_no_longer_than_they_may() -> None:
    log: Lines = []
    well, hung, broken = Taker("well"), Taker("hung", hangs=True), Taker("broken", refusing="no")
    alerts = build_alerts(hung, well, broken, log=log)
    alerts.tell(build_alert("a halt"), 0.0)
    alerts.tell(build_alert("another"), 0.0)  # held back until now

    alerts.last_words(build_alert("ended", STOP), wait_s=0.2)
    hung.released.set()

    assert well.titles == ["rig: a halt", "rig: another", "rig: ended"]
    told = {fields["to"]: fields for _, _, fields in log}
    assert told["hung"] == {"to": "hung", "count": 3, "error": "no answer in time"}
    assert told["broken"] == {"to": "broken", "count": 3, "error": "no"}
    assert [message for _, message, _ in log] == ["alerts were not sent"] * 2
