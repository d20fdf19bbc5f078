"""chatterm: talk with a language model on your own machine and see it think."""

__version__ = "0.1.0"
