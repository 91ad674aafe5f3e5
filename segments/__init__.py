"""WHO: user groups, their catalogue, and what every floor above shares (ids, configuration, hash, errors)."""
