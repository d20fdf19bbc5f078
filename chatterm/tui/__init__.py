"""The interface: app, screens, widgets, themes."""
