"""The commands that look inside the model: one question of `chatterm.records.inspection` each."""
