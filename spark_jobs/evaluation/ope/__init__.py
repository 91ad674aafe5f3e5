"""What a policy would have earned, from the log of another one: off-policy estimators. Arrays only."""
