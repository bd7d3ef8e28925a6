"""check_venue(): what every adapter must do, through the `Venue` port alone.

    async def test_kestrel_conforms() -> None:
        report = await check_venue(open_kestrel)   # raises with everything that is wrong
        assert [each.name for each in report.skipped] == [...]

`open_kestrel` is an async context manager that yields a fresh `VenueUnderTest` each time. Every
case runs with deadlines on trio's clock, so a simulator over in-memory streams is checked on a
jumping clock and one over loopback in real time.
"""

from collections.abc import Sequence
from enum import StrEnum

import attrs
import trio

from botkit.testing.conformance_cases import Case, cases_for
from botkit.testing.conformance_session import OpenVenue, VenueUnderTest, open_session

__all__ = [
    "CheckReport",
    "CheckResult",
    "VenueUnderTest",
    "Verdict",
    "check_venue",
    "examine_venue",
]


class Verdict(StrEnum):
    """How one case went."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.frozen
class CheckResult:
    """One case: `text` says why it was skipped, or what was wrong."""

    name: str
    verdict: Verdict
    text: str = ""


@attrs.frozen
class CheckReport:
    """How a venue did, case by case."""

    venue: str
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> list[CheckResult]:
        """The cases that passed."""
        return [each for each in self.results if each.verdict is Verdict.PASSED]

    @property
    def failed(self) -> list[CheckResult]:
        """The cases that failed."""
        return [each for each in self.results if each.verdict is Verdict.FAILED]

    @property
    def skipped(self) -> list[CheckResult]:
        """The cases that do not apply, with the reason."""
        return [each for each in self.results if each.verdict is Verdict.SKIPPED]

    def text(self) -> str:
        """Return a line per case, for people."""
        return "\n".join(
            f"{each.verdict.value:<8}{each.name}{': ' + each.text if each.text else ''}"
            for each in self.results
        )


async def check_venue(open_venue: OpenVenue, *, case_s: float = 60.0) -> CheckReport:
    """Run every case that applies; raise if one fails.

    Parameters
    ----------
    open_venue
        Called once per case; see `VenueUnderTest`.
    case_s
        How long one case may take, in seconds of trio's clock.

    Raises
    ------
    AssertionError
        Naming every case that failed and why.
    """
    report = await examine_venue(open_venue, case_s=case_s)
    if report.failed:
        raise AssertionError(
            f"{report.venue} fails {len(report.failed)} of {len(report.results)} checks:\n"
            f"{report.text()}"
        )
    return report


async def examine_venue(
    open_venue: OpenVenue, *, only: Sequence[str] = (), case_s: float = 60.0
) -> CheckReport:
    """Run every case that applies, or `only` those named, and report how each went."""
    async with open_venue() as subject:
        name, cases = subject.venue.name, cases_for(subject)
    unknown = set(only) - {case.name for case in cases}
    if unknown:
        known = ", ".join(case.name for case in cases)
        raise ValueError(f"no such check: {', '.join(sorted(unknown))}; there are {known}")
    chosen = [case for case in cases if not only or case.name in only]
    return CheckReport(name, tuple([await _run(case, open_venue, case_s) for case in chosen]))


async def _run(case: Case, open_venue: OpenVenue, case_s: float) -> CheckResult:
    """Run one case on a venue of its own."""
    if case.skip:
        return CheckResult(case.name, Verdict.SKIPPED, case.skip)
    faults: list[str] = []
    try:
        with trio.fail_after(case_s):
            async with open_venue() as subject, open_session(subject, case.name) as session:
                await case.check(session)
    except* trio.TooSlowError:
        faults.append(f"not done within {case_s:g} s")
    except* Exception as group:  # noqa: BLE001  whatever the venue raises is a failed check
        faults += [_told(exc) for exc in _leaves(group)]
    verdict = Verdict.FAILED if faults else Verdict.PASSED
    return CheckResult(case.name, verdict, "; ".join(faults))


def _told(exc: Exception) -> str:
    return str(exc) if isinstance(exc, AssertionError) else repr(exc)


def _leaves(exc: Exception) -> list[Exception]:
    if isinstance(exc, ExceptionGroup):
        return [leaf for inner in exc.exceptions for leaf in _leaves(inner)]
    return [exc]
