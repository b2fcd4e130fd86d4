"""Products as data: what a definition may hold, how answers are read, and how a premium is worked out."""

from .answers import Answers, add_age, read_answers
from .definition import CANCELLATION_METHODS, PLANS, check_definition
from .rating import Coverage, Rating, Step, coverages, initial_reserve, interpolate, rate, run_tests

__all__ = [
    "CANCELLATION_METHODS",
    "PLANS",
    "Answers",
    "Coverage",
    "Rating",
    "Step",
    "add_age",
    "check_definition",
    "coverages",
    "initial_reserve",
    "interpolate",
    "rate",
    "read_answers",
    "run_tests",
]
