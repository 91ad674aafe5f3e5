"""Items that draw clicks against the searcher's intent: how suspicious each is and why, and where they may stand."""
