"""Policy: what merchandisers decide. A document of campaigns, kept in the engine, every version of it."""
