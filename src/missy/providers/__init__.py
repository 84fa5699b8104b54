"""The providers: one class for each API format. All their requests go through `missy.net`."""
