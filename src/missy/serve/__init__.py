"""`missy serve`: a gateway for other programs, with keys, limits and a ledger of its own, over Missy's one way out."""
