"""What the rankings are worth: metrics and their intervals. The lowest room: arrays, numpy and scipy."""
