"""The login of a ChatGPT subscription: signing in, storing the login, renewing it. Requests go through `missy.net`."""
