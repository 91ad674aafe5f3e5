"""The loop, closed: nights of a generated world whose users answer what they are shown, judged by the world's truth."""
