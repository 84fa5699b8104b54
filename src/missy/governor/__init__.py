"""What an endpoint said about its limits, shared by all calls of the process to it; and how fast bulk work may go."""
