"""What an A/B test says: effects with intervals, always-valid ones too, and whether the split itself is sound."""
