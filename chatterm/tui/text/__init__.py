"""Text laid out into lines of cells that know which character of the source they show."""
