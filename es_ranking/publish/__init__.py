"""From ranks to a serving generation: plan, write, check, switch, roll back."""
