"""What users did lately: the recent-action store that downrank reads."""
