"""Commission: a share of the premium, without tax and fees, and what is taken back of it."""

from ..core.money import Exact, Money


def commission(rate: Exact, written: Money, unearned: Money | None = None) -> tuple[Money, Money]:
    """The commission on a written premium, and the clawback on the part that went back to the policyholder."""
    return written.times(rate), (unearned or Money.zero(written.currency)).times(rate)
