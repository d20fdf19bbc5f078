"""The interface under load, in a pseudo-terminal: first paint, echo of keys, throughput, long chats."""
