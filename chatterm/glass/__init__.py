"""What happened inside: replay of one token with taps on."""
