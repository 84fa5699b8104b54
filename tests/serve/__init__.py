"""`missy serve`, as a process, over sockets: with the `openai` package, and with raw bytes."""
