"""What the rankings are worth: metrics and their intervals. The lowest room: numpy and scipy, nothing of ours but hashing."""
