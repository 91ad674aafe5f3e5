"""The serving generation once more, in an index of another mapping or number of shards, without an hour off."""
