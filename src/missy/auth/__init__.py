"""The login of a ChatGPT subscription: signing in, keeping the login, renewing it. No room here opens a connection."""
