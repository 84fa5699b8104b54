"""The configuration file: reading, validation, editing. No module here opens a socket or reads the environment."""
