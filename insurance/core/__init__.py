"""What every feature stands on: time, money, writing, numbers, audit. Knows no feature and no web."""
