"""The network layer ("the door"): the only package that opens connections. Each is authorized, checked and recorded."""
