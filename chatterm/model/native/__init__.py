"""The decode step as one native operator, compiled on this machine for this machine.

Where it cannot be built the decoder does the same in torch; see `docs/performance.md` for what it brings.
"""
