"""What a real venue's table says about its dry run."""

from collections.abc import Mapping
from decimal import Decimal

import attrs

from botkit.config.durations import Duration

__all__ = ["DryRunOptions"]


@attrs.frozen(kw_only=True)
class DryRunOptions:
    """`[venues.NAME.paper]`: what the account has without `--live`, and how long orders take.

    Parameters
    ----------
    balances
        By currency.
    latency
        The way of a request and its answer.
    seed
        Of draws that the fill model makes.
    """

    balances: Mapping[str, Decimal] = attrs.field(factory=dict)
    latency: Duration = attrs.field(default=50_000_000, validator=attrs.validators.gt(0))
    seed: int = attrs.field(default=0, validator=attrs.validators.ge(0))
