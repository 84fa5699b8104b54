"""Tools of MCP servers: programs in the sandbox, endpoints through the door. What they say is never believed.

A tool is offered as it was when a person approved it; see `pins`. Only `client` imports the `mcp` package.
"""
