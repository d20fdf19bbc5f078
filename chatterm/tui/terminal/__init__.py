"""The terminal itself: what is written to it, what comes from it, and leaving it as it was found."""
