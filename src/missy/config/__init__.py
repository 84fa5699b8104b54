"""The one configuration file: read, checked, typed. It must never open a socket or read the environment."""
