"""The model on this machine: fetched by the user's own package client, served by a child on loopback."""
