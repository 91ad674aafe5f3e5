"""NIGHT: the batch steps that make ranks; each file is a step, each folder a room of pure parts."""
