"""How much chance each item gets: posteriors, keyed draws, quotas for the unseen, propensities. Arrays only."""
