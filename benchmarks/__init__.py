"""Measurements of chatterm against its peers; nothing here decides a test."""
