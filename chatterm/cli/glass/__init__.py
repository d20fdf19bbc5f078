"""The commands that look inside the model: one question of `chatterm.engine.inspection` each."""
