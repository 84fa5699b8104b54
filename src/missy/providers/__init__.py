"""The providers: who answers, over which wire format. Each model call goes through the door of `missy.net`."""
