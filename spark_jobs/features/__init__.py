"""Features: what is known of an item, a segment and a person just before a list is shown."""
