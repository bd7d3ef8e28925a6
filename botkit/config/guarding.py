"""`[bot.guardian]`: the second process, which cancels the orders of a bot that was killed."""

from typing import Literal

import attrs

from botkit.config.durations import Duration, parse_duration

__all__ = ["GuardianConfig"]


@attrs.frozen(kw_only=True)
class GuardianConfig:
    """`[bot.guardian]`: who cancels what a killed bot leaves.

    Parameters
    ----------
    enabled
        Whether a run has one; None for runs with --live alone.
    hung_after
        From which silence on, in ns, the bot counts as hung and is killed; also from when a bot
        that could not say that it lives sends no new order.
    give_up_after
        How long, in ns, to try to cancel what is left while a venue cannot be reached.
    on_death
        What a bot does whose guardian dies: start another, or stop.
    """

    enabled: bool | None = None
    hung_after: Duration = attrs.field(
        default=parse_duration("5s"), validator=attrs.validators.ge(parse_duration("500ms"))
    )
    give_up_after: Duration = attrs.field(
        default=parse_duration("15m"), validator=attrs.validators.gt(0)
    )
    on_death: Literal["restart", "stop"] = "restart"
