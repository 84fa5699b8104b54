"""The local model: downloaded by the user's own package client, served by a child process on loopback."""
