"""The chat's screen and its parts: the screen composes widgets and routes keys, each part does one thing."""
