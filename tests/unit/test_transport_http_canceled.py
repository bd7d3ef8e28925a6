"""A request that is canceled while it is being sent leaves nothing open behind it."""

import gc
import sys
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from botkit.testing.network import open_network
from botkit.transport import open_http


async def test_a_request_canceled_in_its_body_leaves_no_generator_open(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async def deaf(_: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with open_network() as network:
        network.window = 1_000  # takes the head, and not all of the body
        network.listen("deaf.test", 80, deaf)
        async with open_http("http://deaf.test", dial=network.dial) as http:
            with trio.move_on_after(1):
                await http.request("POST", "orders", content=b"x" * 5_000)
            gc.collect()
            await trio.testing.wait_all_tasks_blocked()
    gc.collect()
    assert unraisable == []
