"""The process boundary: typed messages, the worker process, the asynchronous client."""
