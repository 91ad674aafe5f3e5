"""Documents that people decide: kept in the engine version by version, audited, in force within seconds."""
